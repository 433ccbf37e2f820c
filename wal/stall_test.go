package wal

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// place reserves and fills a record.
func place(t testing.TB, l *Log, p []byte, c Class) Ticket {
	t.Helper()
	tk, err := l.Reserve(len(p), c)
	if err != nil {
		t.Fatalf("reserve: %v", err)
	}
	copy(tk.Buf, p)
	l.Done(&tk)
	return tk
}

// TestStall has an operation of the commit path hang, first for less than
// StallAfter, then for longer, in virtual time: who waits and who comes is told at
// that moment and not before, but for the one whose goroutine hangs; when the disk
// answers, all that was reserved is committed in order and the log works as
// before.
func TestStall(t *testing.T) {
	for _, op := range []string{"SyncData", "WriteAt"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testStall(t, op) })
		})
	}
}

func testStall(t *testing.T, op string) {
	fs := newHangFS(powerfs.New())
	o := smallOptions(fs)
	o.IdleMark = 48 * time.Hour
	o.LazyDelay = 24 * time.Hour
	var committed []entry
	o.OnCommit = func(g *Group) { _ = collect(&committed)(g) }
	l := mustOpen(t, o)
	defer mustClose(t, l)
	var want []entry
	add := func(tk Ticket, p []byte) { want = append(want, entry{tk.LSN, p}) }
	wait := func(tk Ticket) <-chan error {
		result := make(chan error, 1)
		go func() { result <- l.Wait(&tk) }()
		synctest.Wait()
		return result
	}
	for i, long := range []time.Duration{defaultStallAfter - 1, time.Minute} {
		release := fs.hangOn(op, "")
		first := place(t, l, payload(1), Producer)
		add(first, payload(1))
		leader := wait(first) // commits inline, and hangs
		second := place(t, l, payload(2), Producer)
		add(second, payload(2))
		follower := wait(second)
		lazy := place(t, l, payload(3), Lazy)
		add(lazy, payload(3))
		time.Sleep(defaultStallAfter - 1)
		synctest.Wait()
		if l.Stalled() || len(follower) > 0 {
			t.Fatalf("hang %d: stalled before StallAfter", i)
		}
		if long >= defaultStallAfter {
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if err := <-follower; !errors.Is(err, ErrStalled) {
				t.Errorf("wait: %v", err)
			}
			if _, err := l.Reserve(1, Producer); !errors.Is(err, ErrStalled) {
				t.Errorf("reserve: %v", err)
			}
			for _, late := range []Ticket{second, lazy, place(t, l, payload(4), Lazy)} {
				if err := l.Wait(&late); !errors.Is(err, ErrStalled) {
					t.Errorf("wait during the stall: %v", err)
				}
			}
			add(Ticket{LSN: lazy.LSN + LSN(recordSize(len(payload(3))))}, payload(4))
			time.Sleep(long - defaultStallAfter)
		}
		release()
		if err := <-leader; err != nil {
			t.Errorf("hang %d: the leader: %v", i, err)
		}
		synctest.Wait()
		if l.Stalled() {
			t.Errorf("hang %d: still stalled", i)
		}
		if long < defaultStallAfter {
			if err := <-follower; err != nil {
				t.Errorf("the follower of a short hang: %v", err)
			}
		}
		if err := l.Wait(&second); err != nil {
			t.Errorf("hang %d: the record that was given up: %v", i, err)
		}
		if d := diff(committed, want); d != "" {
			t.Fatalf("hang %d: OnCommit: %s", i, d)
		}
		lsn, err := l.Append(payload(5))
		if err != nil {
			t.Fatalf("hang %d: append afterwards: %v", i, err)
		}
		add(Ticket{LSN: lsn}, payload(5))
	}
	checkReads(t, l, want)
	s := l.Stats()
	if s.Stalls != 1 {
		t.Errorf("%d stalls counted, want 1", s.Stalls)
	}
	if op == "SyncData" && s.LongestSync != time.Minute {
		t.Errorf("longest sync %v, want a minute", s.LongestSync)
	}
}

// TestAfterStall reserves a record the moment the stall is over, before anybody
// has committed what was reserved during it: its waiter must not be given up with
// the lazy records of the stall.
func TestAfterStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := smallOptions(powerfs.New())
		o.LazyDelay = 24 * time.Hour
		l := mustOpen(t, o)
		defer mustClose(t, l)
		l.turn.Lock()
		outer := l.enter(time.Now())
		time.Sleep(defaultStallAfter)
		synctest.Wait()
		lazy := place(t, l, payload(1), Lazy)
		if err := l.Wait(&lazy); !errors.Is(err, ErrStalled) {
			t.Errorf("wait during the stall: %v", err)
		}
		l.leave(outer)
		tk := place(t, l, payload(2), Producer)
		if isClosed(tk.done) {
			t.Error("a record reserved after the stall was given up")
		}
		l.passTurn()
		if err := l.Wait(&tk); err != nil {
			t.Errorf("wait after the stall: %v", err)
		}
	})
}

// TestStallInterval has the sync between acknowledgements hang, which nobody waits
// for; who comes meanwhile is told.
func TestStallInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newHangFS(powerfs.New())
		o := smallOptions(fs)
		o.SyncInterval = time.Second
		var committed []entry
		o.OnCommit = func(g *Group) { _ = collect(&committed)(g) }
		l := mustOpen(t, o)
		release := fs.hangOn("SyncData", "")
		lsn, err := l.Append(payload(1))
		if err != nil {
			t.Fatal(err)
		}
		want := []entry{{lsn, payload(1)}}
		time.Sleep(o.SyncInterval)
		synctest.Wait() // the committer hangs
		tk := place(t, l, payload(2), Producer)
		want = append(want, entry{tk.LSN, payload(2)})
		if err := l.Wait(&tk); !errors.Is(err, ErrStalled) {
			t.Errorf("wait during the stall: %v", err)
		}
		release()
		synctest.Wait()
		if err := l.Wait(&tk); err != nil {
			t.Errorf("wait after the stall: %v", err)
		}
		mustClose(t, l)
		if d := diff(committed, want); d != "" {
			t.Errorf("OnCommit: %s", d)
		}
	})
}

// TestStallBounded fills the log while the disk hangs: producers are refused when
// the stall is noticed, those that Reserve kept among them, and what they were
// given by then, no more than the queue of groups holds, is committed afterwards.
func TestStallBounded(t *testing.T) {
	fs := newHangFS(powerfs.New())
	o := smallOptions(fs)
	o.SegmentSize, o.MaxRecord = 16<<20, 0
	o.StallAfter = 20 * time.Millisecond
	var committed atomic.Int64
	o.OnCommit = func(g *Group) { committed.Add(int64(g.Len())) }
	l := mustOpen(t, o)
	release := fs.hangOn("SyncData", "")
	defer release()
	var wg, waiters sync.WaitGroup
	var reserved atomic.Int64
	for range 32 {
		wg.Go(func() {
			for {
				tk, err := l.Reserve(512<<10, Producer)
				if err != nil {
					if !errors.Is(err, ErrStalled) {
						t.Errorf("reserve: %v", err)
					}
					return
				}
				reserved.Add(1)
				l.Done(&tk)
				l.Kick()
				waiters.Go(func() { // a producer with many requests under way
					if err := l.Wait(&tk); err != nil && !errors.Is(err, ErrStalled) {
						t.Errorf("wait: %v", err)
					}
				})
			}
		})
	}
	wg.Wait() // by itself: everybody was refused
	if groups := reserved.Load(); groups > 2*(queuedGroupsMax+2) {
		t.Errorf("%d records of half a group each were let in while the disk hung", groups)
	}
	release()
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if committed.Load() != reserved.Load() {
		t.Errorf("%d of %d records were committed afterwards", committed.Load(), reserved.Load())
	}
	waiters.Wait()
	mustClose(t, l)
}

// TestStallEndsInPoison has the operation that hangs fail in the end: those who
// were told that nothing is known, and ask again, learn that it is not durable.
func TestStallEndsInPoison(t *testing.T) {
	disk := powerfs.New()
	fs := newHangFS(disk)
	o := smallOptions(fs)
	o.StallAfter = time.Millisecond
	l := mustOpen(t, o)
	release := fs.hangOn("SyncData", "")
	defer release()
	leader := make(chan error)
	go func() {
		_, err := l.Append(payload(1))
		leader <- err
	}()
	<-fs.waiting
	tk, err := l.Reserve(1, Lazy)
	if err != nil {
		t.Fatal(err)
	}
	l.Done(&tk)
	if err := l.Wait(&tk); !errors.Is(err, ErrStalled) {
		t.Errorf("wait: %v", err)
	}
	disk.SetFault(failSyncs)
	release()
	if err := <-leader; !errors.Is(err, ErrPoisoned) {
		t.Errorf("the leader: %v", err)
	}
	if err := l.Wait(&tk); !errors.Is(err, ErrPoisoned) {
		t.Errorf("wait after the end: %v", err)
	}
	if _, err := l.Reserve(1, Producer); !errors.Is(err, ErrPoisoned) {
		t.Errorf("reserve after the end: %v", err)
	}
	if err := l.Close(); !errors.Is(err, ErrPoisoned) {
		t.Errorf("close: %v", err)
	}
}

// TestStallOfSpare has the making of the next segment hang: producers whose
// records do not fit the present one are refused, and go on when it is there.
func TestStallOfSpare(t *testing.T) {
	fs := newHangFS(powerfs.New())
	o := smallOptions(fs)
	o.StallAfter = time.Millisecond
	l := mustOpen(t, o)
	defer mustClose(t, l)
	release := fs.hangOn("Rename", spareSuffix)
	defer release()
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = l.Append(payload(1200))
	}
	if !errors.Is(err, ErrStalled) {
		t.Fatalf("append %d without a segment: %v", n, err)
	}
	release()
	for errors.Is(err, ErrStalled) { // until the spare is there
		time.Sleep(time.Millisecond)
		_, err = l.Append(payload(1200))
	}
	if err != nil {
		t.Errorf("append with a segment: %v", err)
	}
}

// TestStallOfRotate has the beginning of a segment hang that Rotate asked for: who
// waits for a record behind it is told as with any other commit.
func TestStallOfRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newHangFS(powerfs.New())
		o := smallOptions(fs)
		o.IdleMark = 48 * time.Hour // the committer must not wait for the turn: a bubble's time stands still then
		l := mustOpen(t, o)
		synctest.Wait()
		fill(t, l, 1)
		release := fs.hangOn("Rename", segmentSuffix)
		rotated := make(chan error, 1)
		go func() { rotated <- l.Rotate() }()
		<-fs.waiting
		tk := place(t, l, payload(1), Producer)
		waited := make(chan error, 1)
		go func() { waited <- l.Wait(&tk) }()
		time.Sleep(defaultStallAfter + time.Millisecond)
		synctest.Wait()
		if len(waited) == 0 || !l.Stalled() {
			t.Error("a producer waits for a rotation that hangs")
		} else if err := <-waited; !errors.Is(err, ErrStalled) {
			t.Errorf("wait: %v", err)
		}
		release()
		if err := <-rotated; err != nil {
			t.Errorf("rotate: %v", err)
		}
		if err := l.Wait(&tk); err != nil && !errors.Is(err, ErrStalled) {
			t.Errorf("wait afterwards: %v", err)
		}
		mustClose(t, l)
	})
}
