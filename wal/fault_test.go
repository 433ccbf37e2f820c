package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestFailedSyncIsNotBelieved is the scenario that W6 is about: a sync fails,
// the process dies, the next one sees the data in the page cache and shows it,
// and then the power goes. What was shown must still be there.
func TestFailedSyncIsNotBelieved(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual = true
	l := mustOpen(t, o)
	disk.SetFault(failSyncs)
	if _, err := l.Append(payload(7)); !errors.Is(err, ErrPoisoned) {
		t.Fatalf("append: %v", err)
	}
	disk.SetFault(nil)
	l = mustOpen(t, o)
	shown := replayAll(t, l)
	if len(shown) != 1 || l.Recovery().KeptBytes == 0 {
		t.Fatalf("recovered %d records, %+v", len(shown), l.Recovery())
	}
	o.FS = disk.Cut(1, 0, 512)
	l = mustOpen(t, o)
	if d := diff(replayAll(t, l), shown); d != "" {
		t.Fatalf("after the power cut: %s", d)
	}
}

// TestPoisonWakesWaiters fails a sync under concurrent producers and the real
// goroutines.
func TestPoisonWakesWaiters(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	poisoned := make(chan error, 1)
	o.OnPoison = func(err error) { poisoned <- err }
	l := mustOpen(t, o)
	results := make(chan error, 8)
	for range cap(results) {
		go func() {
			for {
				if _, err := l.Append(payload(3)); err != nil {
					results <- err
					return
				}
			}
		}()
	}
	disk.SetFault(failSyncs)
	for range cap(results) {
		if err := <-results; !errors.Is(err, ErrPoisoned) || !errors.Is(err, errInjected) {
			t.Errorf("append: %v", err)
		}
	}
	if err := <-poisoned; !errors.Is(err, errInjected) {
		t.Errorf("OnPoison: %v", err)
	}
	if err := l.Close(); !errors.Is(err, ErrPoisoned) {
		t.Errorf("close: %v", err)
	}
}

// TestNoAckAfterPoison has the log poisoned while a sync is under way that goes
// well: what it made durable is found again, but nobody is told so.
func TestNoAckAfterPoison(t *testing.T) {
	for _, manual := range []bool{true, false} {
		disk := powerfs.New()
		o := smallOptions(disk)
		o.Manual = manual
		o.OnCommit = func(*Group) { t.Error("OnCommit was called after the poison") }
		l := mustOpen(t, o)
		disk.SetFault(func(op, _ string) error {
			if op == "SyncData" {
				l.poison(errInjected)
			}
			return nil
		})
		lsn, err := l.Append(payload(1))
		if !errors.Is(err, ErrPoisoned) || !errors.Is(err, errInjected) {
			t.Errorf("append: %v", err)
		}
		if _, err := l.Read(lsn, 0, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("read of what was not acknowledged: %v", err)
		}
		if err := l.Close(); !errors.Is(err, ErrPoisoned) {
			t.Errorf("close: %v", err)
		}
	}
}

// crowd is a log with its goroutines, several producers, and a fault.
type crowd struct {
	disk *powerfs.FS
	log  *Log
	acks ackLog
	left atomic.Int64 // operations until the fault
	kind atomic.Value // of the failed operation
}

// produce appends until the log refuses or so many records are acknowledged, and
// returns what it should not have met.
func (c *crowd) produce(rng *rand.Rand) error {
	for {
		over := c.log.Err() != nil
		p := payload(rng.IntN(1 << 20))
		lsn, err := c.log.Append(p)
		switch {
		case err == nil && over:
			return fmt.Errorf("record %v was acknowledged by a poisoned log", lsn)
		case errors.Is(err, ErrPoisoned) && errors.Is(err, errInjected):
			return nil
		case err != nil:
			return err
		}
		c.acks.mu.Lock()
		c.acks.acked[lsn] = p
		n := len(c.acks.acked)
		c.acks.mu.Unlock()
		if n >= 500 {
			return nil
		}
	}
}

// TestPoisonConcurrent fails the n-th disk operation under four producers and the
// real goroutines: once, from then on, or all of its kind from then on. Which
// operation is the n-th is the machine's choice.
func TestPoisonConcurrent(t *testing.T) {
	runs, kinds := thin(150), map[string]int{}
	if os.Getenv("WAL_ALL_FAULTS") != "" {
		runs = 2000
	}
	acked := 0
	for k := range runs {
		c := &crowd{disk: powerfs.New(), acks: ackLog{acked: map[LSN][]byte{}}}
		c.left.Store(int64(1 + k%250))
		c.disk.SetFault(func(op, name string) error {
			n := c.left.Add(-1)
			if n == 0 {
				c.kind.Store(kind(op, name))
			}
			if n == 0 || n < 0 && (k%3 == 1 || k%3 == 2 && c.kind.Load() == kind(op, name)) {
				return errInjected
			}
			return nil
		})
		o := smallOptions(c.disk)
		o.IdleMark = 1
		var err error
		if c.log, err = Open(o); err != nil {
			if !errors.Is(err, errInjected) {
				t.Fatalf("run %d: open: %v", k, err)
			}
			continue
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if err := c.produce(newRNG(uint64(k)<<8 | uint64(i))); err != nil {
					t.Errorf("run %d: %v", k, err)
				}
			})
		}
		wg.Wait() // a producer that is not woken ends the test by its time limit
		_ = c.log.Close()
		c.disk.SetFault(nil)
		for _, disk := range []*powerfs.FS{c.disk, c.disk.Cut(uint64(k), 50, 512), c.disk.Cut(uint64(k), 0, 512)} {
			if err := c.acks.check(disk, 0); err != nil {
				t.Errorf("run %d, a %v failed: %v", k, c.kind.Load(), err)
			}
		}
		acked += len(c.acks.acked)
		if kind, ok := c.kind.Load().(string); ok {
			kinds[kind]++
		}
	}
	t.Logf("%d runs, %d records acknowledged and found, failed in turn: %v", runs, acked, kinds)
}

// TestNoSpace has the disk full while spares are prepared: Reserve refuses what
// needs a new segment, nothing is poisoned, and it works again with room.
func TestNoSpace(t *testing.T) {
	for _, manual := range []bool{true, false} {
		t.Run(fmt.Sprintf("manual=%v", manual), func(t *testing.T) {
			disk := powerfs.New()
			o := smallOptions(disk)
			o.Manual = manual
			l := mustOpen(t, o)
			disk.SetFault(func(op, _ string) error {
				if op == "Create" {
					return syscall.ENOSPC
				}
				return nil
			})
			var err error
			n := 0
			for ; err == nil && n < 1000; n++ {
				_, err = l.Append(payload(1200))
			}
			if !errors.Is(err, ErrNoSpace) || l.Err() != nil {
				t.Fatalf("append %d on a full disk: %v, log: %v", n, err, l.Err())
			}
			disk.SetFault(nil)
			for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
				if err = l.Commit(); err == nil { // Manual: tries again to make room
					_, err = l.Append(payload(1200))
				}
			}
			if err != nil {
				t.Fatalf("append with room again: %v", err)
			}
			mustClose(t, l)
		})
	}
}
