package wal

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// faultRun appends until the n-th disk operation from now fails, once or from
// then on, and returns what was acknowledged. ok is false when the run was over
// before.
func faultRun(t *testing.T, disk *powerfs.FS, n int, persistent bool) (acked []entry, ok bool) {
	t.Helper()
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(1)
	poisons := 0
	o.OnPoison = func(error) { poisons++ }
	l := mustOpen(t, o)
	left := n
	disk.SetFault(func(string, string) error {
		left--
		if left == 0 || left < 0 && persistent {
			return errInjected
		}
		return nil
	})
	var failed error
	for i := range 120 {
		p := payload(i)
		lsn, err := l.Append(p)
		switch {
		case err == nil && failed != nil:
			t.Fatalf("operation %d failed: record %d was acknowledged after %v", n, i, failed)
		case err == nil:
			acked = append(acked, entry{lsn, p})
		case !errors.Is(err, ErrPoisoned) || !errors.Is(err, errInjected):
			t.Fatalf("operation %d failed: append: %v", n, err)
		default:
			failed = err
		}
	}
	if failed != nil {
		for _, e := range acked[max(0, len(acked)-1):] {
			if _, err := l.Read(e.lsn, 0, nil); err != nil && !persistent {
				t.Fatalf("operation %d failed: reading stopped working: %v", n, err)
			}
		}
		if poisons != 1 {
			t.Fatalf("operation %d failed: OnPoison called %d times", n, poisons)
		}
	}
	if err := l.Close(); (failed != nil) != (err != nil) && left > 0 {
		t.Fatalf("operation %d failed: close: %v after %v", n, err, failed)
	}
	disk.SetFault(nil)
	return acked, left <= 0
}

// TestPoisonSweep fails every single disk operation of a run in turn, once and
// for good: nothing acknowledged is lost, nothing is acknowledged afterwards,
// whether the process alone dies or the power goes too.
func TestPoisonSweep(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		step := 1
		if raceEnabled {
			step = 3
		}
		for n := 1; ; n += step {
			disk := powerfs.New()
			acked, ok := faultRun(t, disk, n, persistent)
			if !ok {
				t.Logf("persistent=%v: %d operations, failed in turn", persistent, n-1)
				break
			}
			for _, disk := range []*powerfs.FS{disk, disk.Cut(uint64(n), 50, 512)} {
				o := smallOptions(disk)
				o.Manual = true
				l := mustOpen(t, o)
				got := replayAll(t, l)
				if len(got) < len(acked) {
					t.Fatalf("operation %d failed: %d of %d acknowledged records found", n, len(got), len(acked))
				}
				if d := diff(got[:len(acked)], acked); d != "" {
					t.Fatalf("operation %d failed: %s", n, d)
				}
				mustClose(t, l)
			}
		}
	}
}

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
