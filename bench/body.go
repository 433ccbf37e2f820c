package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
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
	text   bool   // the stamp is in hex, and the rest letters
}

func newBodies(size int) *bodies {
	b := &bodies{run: rand.Uint64(), begin: time.Now(), filler: make([]byte, size-stampBytes)}
	source := rand.NewChaCha8([32]byte{1})
	source.Read(b.filler) // never fails
	return b
}

// newTextBodies makes bodies that are letters and digits, as they can stand in JSON. They
// compress by a quarter at most.
func newTextBodies(size int) *bodies {
	b := newBodies(size - stampBytes)
	b.text = true
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i, c := range b.filler {
		b.filler[i] = letters[c%64]
	}
	return b
}

// textStampBytes is how long a stamp is in hex.
const textStampBytes = 2 * stampBytes

// head is how long a stamp is.
func (b *bodies) head() int {
	if b.text {
		return textStampBytes
	}
	return stampBytes
}

func (b *bodies) size() int { return b.head() + len(b.filler) }

// blank is a body to be stamped, again and again, by one producer.
func (b *bodies) blank() []byte {
	return append(make([]byte, b.head()), b.filler...)
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
	var raw [stampBytes]byte
	binary.LittleEndian.PutUint64(raw[0:], b.run)
	binary.LittleEndian.PutUint64(raw[8:], side)
	binary.LittleEndian.PutUint64(raw[16:], seq)
	binary.LittleEndian.PutUint64(raw[24:], uint64(from))
	if b.text {
		hex.Encode(body, raw[:])
		return
	}
	copy(body, raw[:])
}

// read checks every byte of a body that arrived. ours is false for a message of
// another run.
func (b *bodies) read(body []byte) (s stamp, ours bool, err error) {
	if len(body) != b.size() {
		return s, false, fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, len(body), b.size())
	}
	if !bytes.Equal(body[b.head():], b.filler) {
		return s, false, fmt.Errorf("%w: the bytes after the stamp differ", ErrCorrupt)
	}
	raw := body[:stampBytes]
	if b.text {
		var decoded [stampBytes]byte
		if _, err := hex.Decode(decoded[:], body[:textStampBytes]); err != nil {
			return s, false, fmt.Errorf("%w: the stamp: %w", ErrCorrupt, err)
		}
		raw = decoded[:]
	}
	s.side = binary.LittleEndian.Uint64(raw[8:])
	s.seq = binary.LittleEndian.Uint64(raw[16:])
	s.from = time.Duration(binary.LittleEndian.Uint64(raw[24:]))
	return s, binary.LittleEndian.Uint64(raw) == b.run, nil
}
