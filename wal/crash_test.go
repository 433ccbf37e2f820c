package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// runs returns how often a randomised test repeats: few by default, or as the
// environment says, WAL_RUNS=100000 for a night.
func runs(n int) uint64 {
	if v, err := strconv.Atoi(os.Getenv("WAL_RUNS")); err == nil {
		return uint64(v)
	}
	return uint64(n)
}

// thin makes an exhaustive test smaller under the race detector.
func thin(n int) int {
	if raceEnabled {
		return max(1, n/3)
	}
	return n
}

// sim drives one log in Manual mode through appends, commits, marks, floors,
// rotations, reads, replays, process deaths, failed syncs and power cuts, all drawn
// from one seed, and holds it against a list.
type sim struct {
	seed  uint64
	rng   *rand.Rand
	disk  *powerfs.FS
	log   *Log
	index bool     // pass the index's durable position to Open
	lag   bool     // interval mode: many groups lie above the highest mark
	pos   Position // that position
	next  int      // payload number
	floor LSN      // the highest that was asked for

	known []entry // recovered or acknowledged: must never be lost
	doubt []entry // reserved since, in order: may be found, as a prefix
	ends  []Position
}

func (s *sim) options() Options {
	o := smallOptions(s.disk)
	o.Manual, o.Rand = true, rngReader{s.rng}
	o.Reserve = []int{-1, 1, 4}[s.seed%7%3]
	o.ReplayChecks = s.seed%5 < 3 // checkRecovered replays all of it
	o.OnCommit = func(g *Group) { s.ends = append(s.ends, g.End()) }
	if s.index {
		o.Durable = s.pos
	}
	if s.lag {
		o.SyncInterval = time.Hour // Commit syncs all the same
	}
	return o
}

// open opens the log, up to five times with the recovery cut short in the middle,
// by an error or the power, and checks what it found.
func (s *sim) open() error {
	for range s.rng.IntN(6) {
		left, once := s.rng.IntN(60), s.rng.IntN(3) == 0
		s.disk.SetFault(func(string, string) error {
			if left--; left == -1 || left < 0 && !once {
				return errPowerOff
			}
			return nil
		})
		l, err := Open(s.options())
		if err == nil {
			s.log = l // it got by; use it, and cut it another time
			break
		}
		if !errors.Is(err, errPowerOff) {
			return fmt.Errorf("recovery cut short: %w", err)
		}
		if s.rng.IntN(2) == 0 { // else the page cache outlives the process
			s.cut()
		}
	}
	s.disk.SetFault(nil)
	if s.log == nil {
		l, err := Open(s.options())
		if err != nil {
			return err
		}
		s.log = l
	}
	return s.checkRecovered()
}

func (s *sim) checkRecovered() error {
	var got []entry
	s.ends = s.ends[:0]
	err := s.log.Replay(0, func(g *Group) error {
		s.ends = append(s.ends, g.End())
		return collect(&got)(g)
	})
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	first := s.log.First()
	if first > max(s.floor, firstLSN) {
		return fmt.Errorf("the log begins at %v, the floor asked for is %v", first, s.floor)
	}
	s.known = above(s.known, first)
	if len(got) < len(s.known) {
		return fmt.Errorf("%d records recovered, %d were acknowledged", len(got), len(s.known))
	}
	all := append(s.known, s.doubt...)
	if len(got) > len(all) {
		return fmt.Errorf("%d records recovered, only %d were ever written", len(got), len(all))
	}
	if d := diff(got, all[:len(got)]); d != "" {
		return errors.New(d)
	}
	// What Open returned is durable, doubtful as it was before.
	s.known, s.doubt = got, nil
	return s.replayFrom()
}

// replayFrom replays from some boundary: what comes is the rest from there.
func (s *sim) replayFrom() error {
	if len(s.ends) == 0 {
		return nil
	}
	from := s.ends[s.rng.IntN(len(s.ends))].LSN
	var got []entry
	if err := s.log.Replay(from, collect(&got)); err != nil {
		return fmt.Errorf("replay from %v: %w", from, err)
	}
	first := slices.IndexFunc(s.known, func(e entry) bool { return e.lsn >= from })
	if first < 0 {
		first = len(s.known)
	}
	if d := diff(got, s.known[first:]); d != "" {
		return fmt.Errorf("replay from %v: %s", from, d)
	}
	return nil
}

// read reads a record that must be there, one that is not durable, and an address
// between. What lies below the floor is gone once that is in force.
func (s *sim) read() error {
	if known := above(s.known, s.log.First()); len(known) > 0 {
		e := known[s.rng.IntN(len(known))]
		if got, err := s.log.Read(e.lsn, s.rng.IntN(2*len(e.payload)), nil); err != nil || !bytes.Equal(got, e.payload) {
			return fmt.Errorf("read %v: %d bytes of %d, %w", e.lsn, len(got), len(e.payload), err)
		}
		if _, err := s.log.Read(e.lsn+4, 0, nil); !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("read between records: %w", err)
		}
	}
	if n := len(s.doubt); n > 0 {
		if _, err := s.log.Read(s.doubt[s.rng.IntN(n)].lsn, 0, nil); !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("read of a record that is not durable: %w", err)
		}
	}
	return nil
}

func (s *sim) cut() {
	percent := []int{0, 100, s.rng.IntN(101)}[s.rng.IntN(3)]
	grain := []int{512, 4096}[s.rng.IntN(2)]
	s.disk = s.disk.Cut(s.rng.Uint64(), percent, grain)
}

// step does one thing.
func (s *sim) step() error {
	switch n := s.rng.IntN(100); {
	case n < 50:
		return s.reserve()
	case n < 60:
		return s.read()
	case n < 80:
		return s.commit()
	case n < 85:
		return s.acked(s.log.WriteMark())
	case n < 86:
		return s.setFloor()
	case n < 88:
		return s.acked(s.log.Rotate())
	case n < 90:
		if len(s.ends) > 0 {
			s.pos = s.ends[len(s.ends)-1]
		}
		return nil
	case n < 93:
		s.disk.SetFault(func(op, _ string) error {
			if isSync(op) || op == "Remove" || op == "WriteAt" && s.rng.IntN(2) == 0 {
				return errInjected
			}
			return nil
		})
		had := len(s.doubt) > 0
		if err := s.commit(); err != nil || had && s.log.Err() == nil {
			return fmt.Errorf("a commit with a failed sync: %v, no poison", err)
		}
		s.disk.SetFault(nil)
		return s.reopen() // the process died, the page cache lives
	case n < 95:
		return s.reopen()
	default:
		s.cut()
		return s.reopen()
	}
}

func (s *sim) reopen() error {
	s.log = nil // no goroutines, no locks: this is how it dies
	return s.open()
}

func (s *sim) reserve() error {
	p := payload(s.rng.IntN(1 << 20))
	if s.rng.IntN(50) == 0 {
		p = bytes.Repeat(p, 20)
	}
	s.next++
	t, err := s.log.Reserve(len(p), drawClass(s.rng, 2))
	if errors.Is(err, ErrLagging) {
		return s.commit()
	} else if err != nil {
		return err
	}
	copy(t.Buf, p)
	s.log.Done(&t)
	s.doubt = append(s.doubt, entry{t.LSN, p})
	return nil
}

// setFloor gives up some segments, of those that the index is past if there is one:
// not past the end is past the start of the next.
func (s *sim) setFloor() error {
	segs := s.log.Segments()
	i := s.rng.IntN(len(segs))
	for s.index && i > 0 && segs[i-1].End > s.pos.LSN {
		i--
	}
	s.floor = max(s.floor, segs[i].First)
	return s.log.SetFloor(segs[i].First)
}

func (s *sim) commit() error { return s.acked(s.log.Commit()) }

// acked notes the outcome of a commit of everything reserved.
func (s *sim) acked(err error) error {
	if errors.Is(err, ErrPoisoned) {
		return nil // doubt stays doubt
	}
	if err == nil {
		s.known, s.doubt = append(s.known, s.doubt...), nil
	}
	return err
}

// simulate runs one history and returns the first violation.
func simulate(seed uint64, noSync bool) error {
	s := &sim{seed: seed, rng: newRNG(seed), disk: powerfs.New(), index: seed%2 == 0, lag: seed%3 == 0}
	s.disk.NoSync = noSync
	if err := s.open(); err != nil {
		return err
	}
	for i := range 150 {
		if err := s.step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		if s.log.Err() != nil {
			if err := s.reopen(); err != nil {
				return fmt.Errorf("step %d: %w", i, err)
			}
		}
	}
	return nil
}

func TestCrashes(t *testing.T) {
	for seed := range runs(thin(40)) {
		if err := simulate(seed, false); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestCrashesHaveTeeth runs the same histories on a disk whose syncs lie. They
// must fail, else TestCrashes proves nothing.
func TestCrashesHaveTeeth(t *testing.T) {
	failed := 0
	for seed := range uint64(20) {
		if err := simulate(seed, true); err != nil {
			failed++
			t.Logf("seed %d: %v", seed, err)
		}
	}
	if failed < 15 {
		t.Fatalf("of 20 histories without syncs only %d were found out", failed)
	}
	t.Logf("%d of 20 histories without syncs were found out", failed)
}

// ackLog is what producers know to be acknowledged.
type ackLog struct {
	mu    sync.Mutex
	acked map[LSN][]byte
}

// TestCrashConcurrent cuts the power under concurrent producers and the real
// goroutines, on Pebble's crashable file system.
func TestCrashConcurrent(t *testing.T) {
	for seed := range runs(thin(12)) {
		acks := ackLog{acked: map[LSN][]byte{}}
		fs := vfs.NewCrashableMem()
		o := smallOptions(fs)
		o.SegmentSize = 128 << 10
		l := mustOpen(t, o)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for p := range 8 {
			wg.Go(func() { acks.produce(l, newRNG(seed<<8|uint64(p)), stop) })
		}
		rng := newRNG(seed)
		time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond) // at a random moment
		acks.mu.Lock()
		acked := len(acks.acked)
		acks.mu.Unlock()
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		close(stop)
		wg.Wait()
		mustClose(t, l)

		o.FS = clone
		l = mustOpen(t, o)
		got := replayAll(t, l)
		known := 0
		for _, e := range got {
			if p, ok := acks.acked[e.lsn]; ok && !bytes.Equal(p, e.payload) {
				t.Fatalf("seed %d: record %v has changed", seed, e.lsn)
			} else if ok {
				known++
			}
		}
		if known < acked {
			t.Fatalf("seed %d: %d records recovered of %d acknowledged before the cut", seed, known, acked)
		}
		mustClose(t, l)
	}
}

func (a *ackLog) produce(l *Log, rng *rand.Rand, stop <-chan struct{}) {
	for !isClosed(stop) {
		p := payload(rng.IntN(1 << 20))
		lsn, err := l.Append(p)
		if err != nil {
			return
		}
		a.mu.Lock()
		a.acked[lsn] = p
		a.mu.Unlock()
	}
}

// check opens what is left of a log that may begin at the floor, and looks for
// everything acknowledged from there on.
func (a *ackLog) check(disk vfs.FS, floor LSN) error {
	o := smallOptions(disk)
	o.Manual, o.Reserve = true, -1
	l, err := Open(o)
	if err != nil {
		return err
	}
	defer l.readers.close()
	if l.First() > max(floor, firstLSN) {
		return fmt.Errorf("the log begins at %v, the floor asked for is %v", l.First(), floor)
	}
	want, found := 0, 0
	for lsn := range a.acked {
		if lsn >= l.First() {
			want++
		}
	}
	err = l.Replay(0, func(g *Group) error {
		return g.Each(func(lsn LSN, p []byte) error {
			if want, ok := a.acked[lsn]; ok && !bytes.Equal(want, p) {
				return fmt.Errorf("record %v has changed", lsn)
			} else if ok {
				found++
			}
			return nil
		})
	})
	if err == nil && found != want {
		err = fmt.Errorf("%d of %d acknowledged records found", found, want)
	}
	return err
}
