package wal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestBufferSize: a buffer that was too small is followed by the next size at once, one
// that was too large for classGroups groups in a row by the size of the largest of them.
func TestBufferSize(t *testing.T) {
	var s bufferSize
	want := func(step string, bytes int) {
		t.Helper()
		if got := classSize(s.class); got != bytes {
			t.Fatalf("%s: buffers of %d bytes, want %d", step, got, bytes)
		}
	}
	use := func(n, times int) {
		for range times {
			s.used(n)
		}
	}
	want("at first", 16<<10)
	use(1000, 10*classGroups)
	want("small groups", 16<<10)
	for range 2 {
		s.full()
	}
	want("too small twice", 64<<10)
	use(1000, classGroups)
	want("one round after it was too small", 64<<10)
	use(1000, classGroups-1)
	s.used(20 << 10)
	want("the largest of a round", 32<<10)
	for range 10 * classGroups {
		use(32<<10, 1)
		use(100, classGroups-1)
	}
	want("one of each round needs it", 32<<10)
	use(100, classGroups)
	want("none needs it", 16<<10)
	for range 100 {
		s.full()
	}
	want("a bound", 1<<20)
}

// TestOneGroupPerCommit: with commits of sizes that vary, a commit is one group, but for
// the few after which the buffers grew. Were each buffer chosen by the group before, most
// of the large ones would be two.
func TestOneGroupPerCommit(t *testing.T) {
	l := mustOpen(t, Options{FS: vfs.NewMem(), Dir: testDir, Manual: true, SegmentSize: 16 << 20})
	defer mustClose(t, l)
	const seed, commits = 1, 200
	rnd, before := newRNG(seed), l.Stats().Groups
	for range commits {
		for range 1 + rnd.IntN(100) {
			appendLazy(t, l, 1000)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Stats().Groups - before; n > commits*11/10 {
		t.Errorf("seed %d: %d groups for %d commits", seed, n, commits)
	}
}

func appendLazy(t *testing.T, l *Log, n int) {
	t.Helper()
	ticket, err := l.Reserve(n, Lazy)
	if err != nil {
		t.Fatal(err)
	}
	clear(ticket.Buf)
	l.Done(&ticket)
}

// TestBuffersFitTheirGroups: a reader that lags holds little more memory than log, also
// where every other group is a large one: what it holds is what publishes are refused by.
func TestBuffersFitTheirGroups(t *testing.T) {
	var held, logged int
	l := mustOpen(t, Options{FS: vfs.NewMem(), Dir: testDir, Manual: true, SegmentSize: 16 << 20, OnCommit: func(g *Group) {
		held, logged = held+g.Buffer(), logged+g.CopySize()
	}})
	defer mustClose(t, l)
	for i := range 20 * classGroups {
		n := 20
		if i%classGroups == 0 {
			n = 900
		}
		for range n {
			appendLazy(t, l, 1000)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if held > bufferSlack*logged {
		t.Errorf("groups of %d bytes stand in buffers of %d", logged, held)
	}
}
