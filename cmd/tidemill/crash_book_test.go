package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// book knows of every message what was sent and what has come. It is safe for
// concurrent use.
type book struct {
	seed uint64
	next atomic.Uint64 // the next message's number

	acked, ended               atomic.Int64 // ended: of the acked ones, delivered or buried
	duplicates, failed, buried atomic.Int64
	again                      atomic.Int64 // of the duplicates, those within one life of the server
	arrived                    atomic.Int64 // attempts

	mu       sync.Mutex
	life     int // of the server
	messages map[uint64]*message
	ids      map[string]uint64 // of the acked ones: message id to number
	wrong    []string
	change   chan struct{} // closed and replaced when an acked message has come
}

// message is one that was, or is about to be, sent.
type message struct {
	due      int64 // unix ms, at the earliest: from before it was sent
	failures int   // attempts that its destination answers with 503 first
	attempts int
	acked    bool
	done     int // attempts that were answered with 200, the last
	life     int // in this life of the server
	buried   bool
}

func newBook(seed uint64) *book {
	return &book{seed: seed, messages: map[uint64]*message{}, ids: map[string]uint64{}, change: make(chan struct{})}
}

// body of message seq, the same whenever it is asked for: number, then noise, then
// a checksum of both. Most are short; one in 64 is up to 64 KiB, some are empty.
func (b *book) body(seq uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], b.seed)
	binary.LittleEndian.PutUint64(key[8:], seq)
	noise := rand.NewChaCha8(key)
	n := int(noise.Uint64() % 1500)
	if noise.Uint64()%64 == 0 {
		n = int(noise.Uint64() % (64<<10 + 1))
	}
	if n < 12 {
		return nil
	}
	out := make([]byte, n)
	binary.LittleEndian.PutUint64(out, seq)
	noise.Read(out[8 : n-4])
	binary.LittleEndian.PutUint32(out[n-4:], crc32.ChecksumIEEE(out[:n-4]))
	return out
}

// send notes a message before its publish begins.
func (b *book) send(due time.Time, failures int) uint64 {
	seq := b.next.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages[seq] = &message{due: due.UnixMilli(), failures: failures}
	return seq
}

// ack notes that a publish was answered with 2xx and this message id, which must
// be a new one (P11).
func (b *book) ack(seq uint64, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if other, taken := b.ids[id]; taken || id == "" {
		b.complainLocked("message %d got the id %q, as %d did", seq, id, other)
	}
	b.ids[id] = seq
	m := b.messages[seq]
	m.acked = true
	b.acked.Add(1)
	if m.done > 0 {
		b.settleLocked()
	}
}

func (b *book) settleLocked() {
	b.ended.Add(1)
	close(b.change)
	b.change = make(chan struct{})
}

// arrive checks an attempt and returns the status to answer it with.
func (b *book) arrive(target string, body []byte, at time.Time) int {
	b.arrived.Add(1)
	seq, err := seqOf(target)
	want := b.body(seq)
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.messages[seq]
	switch {
	case err != nil:
		b.complainLocked("%v", err)
		return 200
	case m == nil:
		b.complainLocked("message %d came and was never sent", seq)
		return 200
	case !bytes.Equal(body, want):
		b.complainLocked("message %d came with %d bytes that differ from the %d sent", seq, len(body), len(want))
	case at.UnixMilli() < m.due:
		b.complainLocked("message %d came %d ms early", seq, m.due-at.UnixMilli())
	}
	if m.attempts++; m.attempts <= m.failures {
		b.failed.Add(1)
		return 503
	}
	if m.done++; m.done > 1 {
		b.duplicates.Add(1)
		if m.life == b.life {
			b.again.Add(1)
		}
	} else if m.acked && !m.buried {
		b.settleLocked()
	}
	m.life = b.life
	return 200
}

// newLife notes that nothing will come any more of what the server sent until now.
func (b *book) newLife() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life++
}

// bury notes that a message is in the dead letter queue. allowed is asked once
// for each message. Of one that was not acked nothing is known.
func (b *book) bury(id, reason string, allowed func(seq uint64, reason string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seq := b.ids[id]
	m := b.messages[seq]
	if m == nil || m.buried {
		return
	}
	if !allowed(seq, reason) {
		b.complainLocked("message %d became a dead letter: %s", seq, reason)
	}
	m.buried = true
	b.buried.Add(1)
	if m.done == 0 {
		b.settleLocked()
	}
}

// pending reports whether a message was acked and has neither come nor been
// buried.
func (b *book) pending(seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.messages[seq]
	return m != nil && m.acked && m.done == 0 && !m.buried
}

func (b *book) isAcked(seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.messages[seq]
	return m != nil && m.acked
}

// ackedNow returns the numbers of the messages that are acknowledged.
func (b *book) ackedNow() (seqs []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, seq := range b.ids {
		seqs = append(seqs, seq)
	}
	return seqs
}

// outstandingIDs returns the message ids of those outstanding.
func (b *book) outstandingIDs() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, seq := range b.ids {
		if m := b.messages[seq]; m.done == 0 && !m.buried {
			ids = append(ids, id)
		}
	}
	return ids
}

func (b *book) isOutstanding(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.messages[b.ids[id]]
	return m != nil && m.done == 0 && !m.buried
}

func (b *book) complainLocked(format string, args ...any) {
	if len(b.wrong) < 20 {
		b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
	}
}

func (b *book) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wrong
}

// outstanding is how many acknowledged messages have not come.
func (b *book) outstanding() int64 {
	ended := b.ended.Load() // before acked, so that it is never negative
	return b.acked.Load() - ended
}

// settled is closed when the next acknowledged message has come.
func (b *book) settled() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outstanding() == 0 {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return b.change
}

func (b *book) missing(n int) (seqs []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for seq, m := range b.messages {
		if m.acked && m.done == 0 && !m.buried && len(seqs) < n {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}
