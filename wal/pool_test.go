package wal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestBuffersFollowTheTraffic: what a reader retains is little more than what the groups
// hold, also after a burst.
func TestBuffersFollowTheTraffic(t *testing.T) {
	var last *Group
	l := mustOpen(t, Options{FS: vfs.NewMem(), Dir: testDir, Manual: true, SegmentSize: 16 << 20, OnCommit: func(g *Group) { last = g }})
	defer mustClose(t, l)
	commit := func(bytes int) {
		t.Helper()
		for n := 0; n < bytes; n += 1 << 10 {
			tk, err := l.Reserve(1<<10, Lazy)
			if err != nil {
				t.Fatal(err)
			}
			l.Done(&tk)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for range bufferClasses {
		commit(2 << 20)
	}
	if got := last.Buffer(); got != classSize(bufferClasses-1) {
		t.Errorf("in a burst buffers have %d bytes", got)
	}
	for _, size := range []int{300 << 10, 70 << 10, 10 << 10} {
		commit(size)
		commit(size)
		if got := last.Buffer(); got > 4*size {
			t.Errorf("groups of %d bytes stand in buffers of %d", size, got)
		}
	}
}
