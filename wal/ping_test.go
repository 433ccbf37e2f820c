package wal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestPing: an idle log answers; one whose disk hangs is excused, however long; one
// whose turn is held by somebody who does nothing is not.
func TestPing(t *testing.T) {
	fs := newHangFS(powerfs.New())
	l := mustOpen(t, smallOptions(fs))
	defer mustClose(t, l)
	const long, short = time.Minute, 20 * time.Millisecond
	ping := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		return l.Ping(ctx)
	}
	if err := ping(long); err != nil {
		t.Fatalf("idle: %v", err)
	}

	release := fs.hangOn("SyncData", "")
	defer release()
	tk := place(t, l, payload(1), Producer)
	waited := make(chan error, 1)
	go func() { waited <- l.Wait(&tk) }()
	<-fs.waiting
	for range 3 {
		if err := ping(short); err != nil {
			t.Errorf("while a sync hangs: %v", err)
		}
	}
	release()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if err := ping(long); err != nil {
		t.Errorf("after it: %v", err)
	}

	l.turn.Lock()
	if err := ping(short); !errors.Is(err, errCommitterSilent) {
		t.Errorf("the turn is held for nothing: %v", err)
	}
	l.turn.Unlock()
	if err := ping(long); err != nil {
		t.Errorf("the turn is free again: %v", err)
	}
}

// TestPingOfAClosedLog: who shuts down is not called dead.
func TestPingOfAClosedLog(t *testing.T) {
	l := mustOpen(t, smallOptions(powerfs.New()))
	mustClose(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := l.Ping(ctx); err != nil {
		t.Error(err)
	}
}

// TestScanProgress: Open tells how much of the log it has scanned, ever more of the
// same total, and Ahead what there is to replay.
func TestScanProgress(t *testing.T) {
	fs := powerfs.New()
	o := smallOptions(fs)
	o.SegmentSize, o.MaxRecord = 4<<20, 1<<20
	l := mustOpen(t, o)
	const n, size = 12, 512 << 10
	for range n {
		if _, err := l.Append(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)

	var calls int
	var last, whole int64
	o.Progress = func(done, total int64) {
		if calls++; done <= last || done > total || whole != 0 && total != whole {
			t.Errorf("%d of %d after %d of %d", done, total, last, whole)
		}
		last, whole = done, total
	}
	l = mustOpen(t, o)
	defer mustClose(t, l)
	if least := n * size / (1 << 20) / 2; calls < least || last < n*size*3/4 {
		t.Errorf("%d calls, the last with %d of %d bytes", calls, last, whole)
	}
	ahead, replayed := l.Ahead(0), int64(0)
	if err := l.Replay(0, func(g *Group) error { replayed += int64(g.End().LSN - g.Start()); return nil }); err != nil {
		t.Fatal(err)
	}
	if ahead != replayed || ahead < n*size {
		t.Errorf("ahead are %d bytes, replayed were %d", ahead, replayed)
	}
	if got := l.Ahead(l.Durable().LSN); got != 0 {
		t.Errorf("%d bytes above the end", got)
	}
}
