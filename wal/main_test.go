package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testDir = "log"

// rngReader makes identities from a seed.
type rngReader struct{ rng *rand.Rand }

func (r rngReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.rng.Uint32())
	}
	return len(p), nil
}

func newRNG(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) }

func seeded(seed uint64) io.Reader { return rngReader{newRNG(seed)} }

// smallOptions is a log of small segments.
func smallOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: testDir, SegmentSize: minSegmentSize, MaxRecord: 32 << 10}
}

// drawClass draws a class other than Producer in one of n times.
func drawClass(rng *rand.Rand, n int) Class {
	if rng.IntN(n) > 0 {
		return Producer
	}
	return Lazy + Class(rng.IntN(2))
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// payload i is recognisable and of a length that depends on i.
func payload(i int) []byte {
	p := make([]byte, 8+(i*37)%1500)
	binary.LittleEndian.PutUint64(p, uint64(i))
	for j := 8; j < len(p); j++ {
		p[j] = byte(i + j)
	}
	return p
}

// entry is a record as a reader saw it.
type entry struct {
	lsn     LSN
	payload []byte
}

func collect(into *[]entry) func(*Group) error {
	return func(g *Group) error {
		return g.Each(func(lsn LSN, p []byte) error {
			*into = append(*into, entry{lsn, bytes.Clone(p)})
			return nil
		})
	}
}

func replayAll(t testing.TB, l *Log) []entry {
	t.Helper()
	var got []entry
	if err := l.Replay(0, collect(&got)); err != nil {
		t.Fatalf("replay: %v", err)
	}
	return got
}

// diff says how got differs from want, "" if it does not.
func diff(got, want []entry) string {
	for i := range min(len(got), len(want)) {
		if got[i].lsn != want[i].lsn || !bytes.Equal(got[i].payload, want[i].payload) {
			return fmt.Sprintf("record %d: got %v (%d bytes), want %v (%d bytes)",
				i, got[i].lsn, len(got[i].payload), want[i].lsn, len(want[i].payload))
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d records, want %d", len(got), len(want))
	}
	return ""
}
