package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// chaos is everything at once on a log of small segments with its goroutines:
// producers, lazy or not, that read back what was acknowledged, others that call
// Commit, WriteMark, Rotate and Kick, one that reclaims what the others read, a disk
// that is full now and then, and an end that comes in the middle: a close or a
// failed sync.
type chaos struct {
	log    *Log
	acks   ackLog
	failed atomic.Bool   // a sync was made to fail
	floor  atomic.Uint64 // the highest that was asked for
}

// settled says whether err is an end that a producer must expect.
func (c *chaos) settled(err error) bool {
	return errors.Is(err, ErrClosed) || errors.Is(err, ErrPoisoned)
}

// produce appends until the log ends and returns what it should not have met.
func (c *chaos) produce(rng *rand.Rand) error {
	for {
		p := payload(rng.IntN(1 << 20))
		t, err := c.log.Reserve(len(p), drawClass(rng, 4))
		switch {
		case errors.Is(err, ErrNoSpace):
			runtime.Gosched()
			continue
		case c.settled(err):
			return nil
		case err != nil:
			return err
		}
		copy(t.Buf, p)
		c.log.Done(&t)
		if err := c.log.Wait(&t); c.settled(err) {
			return nil
		} else if err != nil {
			return err
		}
		c.acks.mu.Lock()
		c.acks.acked[t.LSN] = p
		c.acks.mu.Unlock()
		got, err := c.log.Read(t.LSN, rng.IntN(len(p)*2), nil)
		gone := errors.Is(err, ErrNotFound) && uint64(t.LSN) < c.floor.Load()
		if err != nil && !gone && !errors.Is(err, ErrClosed) || err == nil && !bytes.Equal(got, p) {
			return fmt.Errorf("read %v after its ack: %d bytes, %w", t.LSN, len(got), err)
		}
	}
}

// meddle calls what commits beside the producers until the log ends.
func (c *chaos) meddle(rng *rand.Rand) error {
	for {
		var err error
		switch rng.IntN(4) {
		case 3:
			err = c.log.Rotate()
		case 0:
			err = c.log.Commit()
		case 1:
			err = c.log.WriteMark()
		case 2:
			c.log.Kick()
			err = c.log.Err()
		}
		if c.settled(err) {
			return nil
		} else if err != nil && !errors.Is(err, ErrNoSpace) {
			return err
		}
	}
}

// reclaim gives up all but the newest segments, over and over, and reads what is
// just about to go, until the log ends.
func (c *chaos) reclaim(rng *rand.Rand) error {
	for c.log.Err() == nil {
		unpin := func() {}
		if rng.IntN(4) == 0 {
			unpin = c.log.Pin()
		}
		segs := c.log.Segments()
		keep := segs[max(0, len(segs)-1-rng.IntN(4))]
		c.floor.Store(max(c.floor.Load(), uint64(keep.First)))
		if err := c.log.SetFloor(keep.First); err != nil {
			return err
		}
		if segs[0].Sealed {
			last := LSN(0)
			err := c.log.ReadSegment(segs[0].First, func(lsn LSN, p []byte) error {
				if c.acks.mu.Lock(); lsn <= last || c.acks.acked[lsn] != nil && !bytes.Equal(c.acks.acked[lsn], p) {
					last = 1 << 63
				}
				c.acks.mu.Unlock()
				last = max(last, lsn)
				return nil
			})
			if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrClosed) || last >= 1<<63 {
				return fmt.Errorf("read segment %v: %w", segs[0].First, err)
			}
		}
		unpin()
		runtime.Gosched()
	}
	return nil
}

func (c *chaos) run(t *testing.T, seed uint64) {
	rng := newRNG(seed)
	disk := powerfs.New()
	end := make(chan struct{})
	left, full := atomic.Int64{}, atomic.Int64{}
	left.Store(int64(20 + rng.IntN(300)))
	disk.SetFault(func(op, _ string) error {
		switch {
		case c.failed.Load() && isSync(op):
			return errInjected
		case isSync(op) && left.Add(-1) == 0:
			close(end)
		case op == "Create" && seed%4 == 0 && full.Add(1)%8 == 5: // costs a spareRetry
			return syscall.ENOSPC
		}
		return nil
	})
	o := smallOptions(disk)
	o.LazyDelay, o.IdleMark = 1, 1 // whatever timers do, they do it often
	c.log = mustOpen(t, o)
	c.acks.acked = map[LSN][]byte{}
	var wg sync.WaitGroup
	for i := range 7 {
		rng := newRNG(seed<<8 | uint64(i))
		wg.Go(func() {
			f := c.produce
			switch i {
			case 0:
				f = c.meddle
			case 1:
				f = c.reclaim
			}
			if err := f(rng); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
	<-end
	fail := rng.IntN(2) == 0
	c.failed.Store(fail)
	if fail {
		wg.Wait() // the poison must reach everybody without a Close
	}
	err := c.log.Close()
	wg.Wait()
	if err != nil && !errors.Is(err, ErrPoisoned) || fail && err == nil {
		t.Errorf("seed %d: close: %v", seed, err)
	}
	c.check(t, seed, disk.Cut(seed, rng.IntN(101), 512))
}

// check looks for everything acknowledged on what a power cut left.
func (c *chaos) check(t *testing.T, seed uint64, disk *powerfs.FS) {
	l := mustOpen(t, smallOptions(disk))
	if first := l.First(); uint64(first) > max(c.floor.Load(), uint64(firstLSN)) {
		t.Errorf("seed %d: the log begins at %v, above the floor", seed, first)
	}
	want, found := 0, 0
	for lsn := range c.acks.acked {
		if lsn >= l.First() {
			want++
		}
	}
	for _, e := range replayAll(t, l) {
		if p, ok := c.acks.acked[e.lsn]; ok && bytes.Equal(p, e.payload) {
			found++
		}
	}
	if found != want {
		t.Errorf("seed %d: of %d acknowledged records above the floor %d were found", seed, want, found)
	}
	mustClose(t, l)
}

// TestChaos checks that everybody who waits is woken, that what was acknowledged
// can be read and survives, and that Close and the poison end it all. Its
// schedule is the machine's, so a seed does not repeat a failure.
func TestChaos(t *testing.T) {
	for seed := range runs(thin(30)) {
		(&chaos{}).run(t, seed)
	}
}
