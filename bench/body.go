package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// stampBytes is the head of each body: run, side, sequence number, the time that its
// latency counts from; eight bytes each, little-endian.
const stampBytes = 32

// stamp is what a body says about itself.
type stamp struct {
	side uint64
	seq  uint64
	from time.Duration // what its latency counts from, since the run began: see sink.clock
}

// bodies makes and recognises the bodies of one run. It is immutable.
type bodies struct {
	run    uint64 // so that a message of an earlier run is not taken for ours
	begin  time.Time
	filler []byte // the rest of every body; random, so it does not compress
}

func newBodies(size int) *bodies {
	b := &bodies{run: rand.Uint64(), begin: time.Now(), filler: make([]byte, size-stampBytes)}
	source := rand.NewChaCha8([32]byte{1})
	source.Read(b.filler) // never fails
	return b
}

func (b *bodies) size() int { return stampBytes + len(b.filler) }

// blank is a body to be stamped, again and again, by one producer.
func (b *bodies) blank() []byte {
	return append(make([]byte, stampBytes), b.filler...)
}

// elapsed is the time since the run began, on the monotonic clock.
func (b *bodies) elapsed() time.Duration { return time.Since(b.begin) }

// wall is the same on the wall clock, which the server keeps delays by.
func (b *bodies) wall() time.Duration {
	return time.Duration(time.Now().UnixNano() - b.begin.UnixNano())
}

// put stamps a body with the present time.
func (b *bodies) put(body []byte, side, seq uint64) { b.putAt(body, side, seq, b.elapsed()) }

// putAt stamps a body with another time.
func (b *bodies) putAt(body []byte, side, seq uint64, from time.Duration) {
	binary.LittleEndian.PutUint64(body[0:], b.run)
	binary.LittleEndian.PutUint64(body[8:], side)
	binary.LittleEndian.PutUint64(body[16:], seq)
	binary.LittleEndian.PutUint64(body[24:], uint64(from))
}

// read checks every byte of a body that arrived. ours is false for a message of
// another run.
func (b *bodies) read(body []byte) (s stamp, ours bool, err error) {
	if len(body) != b.size() {
		return s, false, fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, len(body), b.size())
	}
	if !bytes.Equal(body[stampBytes:], b.filler) {
		return s, false, fmt.Errorf("%w: the bytes after the stamp differ", ErrCorrupt)
	}
	s.side = binary.LittleEndian.Uint64(body[8:])
	s.seq = binary.LittleEndian.Uint64(body[16:])
	s.from = time.Duration(binary.LittleEndian.Uint64(body[24:]))
	return s, binary.LittleEndian.Uint64(body) == b.run, nil
}
