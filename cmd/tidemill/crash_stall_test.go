package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// stalls is mode stall: the file system is frozen under load, so that every write
// and sync hangs, and thawed after a while (P13). Nobody is killed. Publishes wait,
// or are refused when the log gives up waiting. Deliveries go on only as far as
// outcomes may be undurable (L5): the load is such that far more fall due meanwhile.
// Memory stays bounded, and all recovers by itself.
type stalls struct {
	plain
	disk   *loopDisk
	rounds int
	lasts  time.Duration // of one stall

	frozen         time.Duration
	attempts, most int64 // while it was frozen: in all, and in one stall
	recovered      time.Duration
	peak           int64
}

// stallMemoryMax is a bound for the resident set: the budgets of ARCHITECTURE.md
// that this load can use.
const stallMemoryMax = 512 << 20

// newStalls stalls the disk for 4 s, in runs of a minute and more for 30 s.
func newStalls(t *testing.T, lasts time.Duration) fault {
	f := &stalls{disk: newLoopDisk(t, diskBytes(lasts)), rounds: 1 + int(lasts/(45*time.Second)), lasts: 4 * time.Second}
	if lasts >= time.Minute {
		f.lasts = 30 * time.Second
	}
	return f
}

func (f *stalls) setup() setup {
	s := usual(f.disk.dir())
	s.rounds, s.publishers, s.delayOneIn, s.delayMax = f.rounds, 4*crashPublishers, 1, 3*time.Second
	return s
}

// stretch ends with the book full of messages that fall due within seconds.
func (f *stalls) stretch(*rand.Rand) time.Duration {
	for began := time.Now(); f.c.book.outstanding() < backlogMax && time.Since(began) < 5*time.Second; {
		f.c.ticks.look(false)
		time.Sleep(10 * time.Millisecond)
	}
	return 0
}

func (f *stalls) strike(p *process) {
	t := f.c.t
	f.c.load.gate.open()
	defer f.c.load.gate.close()
	thaw := f.disk.freeze()
	defer thaw()
	arrived, acked := f.c.book.arrived.Load(), f.c.book.acked.Load()
	select {
	case <-p.exited:
		t.Errorf("the server ended in a stall of the disk\n%s", p.output())
	case <-time.After(f.lasts): // the stall, not a wait
	}
	arrived = f.c.book.arrived.Load() - arrived
	if n := f.c.book.acked.Load() - acked; n > int64(f.c.setup.publishers) {
		t.Errorf("%d publishes were acknowledged while nothing reached the disk", n)
	}
	if arrived == 0 {
		t.Error("no attempt arrived while the disk hung: deliveries of what is known go on")
	}
	if most := int64(undurableMax + crashParallelism); arrived > most {
		t.Errorf("%d attempts arrived while no outcome could reach the disk, at most %d may", arrived, most)
	}
	thaw()
	f.c.ticks.up()
	f.attempts, f.most, f.frozen = f.attempts+arrived, max(f.most, arrived), f.frozen+f.lasts
	f.awaitRecovery(p)
}

// awaitRecovery waits until publishes are acknowledged and attempts arrive again.
func (f *stalls) awaitRecovery(p *process) {
	b, began := f.c.book, time.Now()
	acked, arrived := b.acked.Load(), b.arrived.Load()
	for b.acked.Load() <= acked+int64(f.c.setup.publishers) || b.arrived.Load() <= arrived+undurableMax {
		if p.gone() || time.Since(began) > time.Minute {
			f.c.t.Fatalf("after a stall of the disk the server does not recover\n%s", p.output())
		}
		f.c.ticks.look(false)
		time.Sleep(10 * time.Millisecond)
	}
	f.recovered = max(f.recovered, time.Since(began))
	_, peak := residentSet(f.c.t, p.pid())
	if f.peak = max(f.peak, peak); peak > stallMemoryMax {
		f.c.t.Errorf("the resident set grew to %s, at most %s is expected", mibs(peak), mibs(stallMemoryMax))
	}
}

func (f *stalls) report() string {
	if n := f.c.book.duplicates.Load(); n > 0 {
		f.c.t.Errorf("%d messages came twice, and nobody crashed", n)
	}
	return fmt.Sprintf("frozen for %v; %d attempts meanwhile (at most %d in one stall, %d may be undurable); recovered within %v; resident at most %s",
		f.frozen, f.attempts, f.most, undurableMax, f.recovered.Round(time.Millisecond), mibs(f.peak))
}
