package wal

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// The n-th disk operation fails, for every n, as SQLite's tests do it (P3). The
// oracle: nothing acknowledged is lost, whether the process alone dies or the
// power goes too; a failed write, sync, create or rename poisons the log before
// the next call, and nothing is acknowledged from then on (W8). No poison is only a
// full disk while a spare is being prepared, and the rename of a file to be
// recycled, which is removed then.

// kind says which of the kinds that are failed separately an operation is, "" for
// the others, reads for the most part.
func kind(op, name string) string {
	switch {
	case isSync(op) && path.Base(name) == testDir:
		return "directory sync"
	case isSync(op):
		return "sync"
	case op == "Open" && strings.HasSuffix(name, spareSuffix):
		return "create" // of a segment, from a spare that was left
	default:
		return map[string]string{"WriteAt": "write", "Create": "create", "Rename": "rename", "Remove": "remove"}[op]
	}
}

// final says whether W8 makes this error of this operation a poison, which came
// behind one on the file named before. Of removes and reads it says neither.
func final(op, name, before string, err error) bool {
	spare := strings.HasSuffix(name, spareSuffix)
	switch kind(op, name) {
	case "", "remove":
		return false
	case "rename":
		if spare && strings.HasSuffix(before, segmentSuffix) {
			return false // to be recycled
		}
	}
	return !spare || !errors.Is(err, syscall.ENOSPC)
}

// plan says which operations fail and how.
type plan struct {
	name  string
	err   error
	after func(failed, now string) bool // is one of this kind to fail, after the n-th of that kind did?
	// interval: acknowledged before the sync, which promises nothing for a power cut.
	interval bool
}

var plans = []plan{
	{name: "once", err: errInjected, after: nothing},
	{name: "everything from then on", err: errInjected, after: func(_, _ string) bool { return true }},
	{name: "all of the kind from then on", err: errInjected, after: sameKind},
	{name: "once, no space", err: syscall.ENOSPC, after: nothing},
	{name: "all of the kind from then on, no space", err: syscall.ENOSPC, after: sameKind},
	{name: "once, interval mode", err: errInjected, after: nothing, interval: true},
}

func nothing(_, _ string) bool         { return false }
func sameKind(failed, now string) bool { return failed == now }

// victim is one life of a log, from Open to its end, with a fault in it.
type victim struct {
	disk    *powerfs.FS
	opts    Options
	log     *Log
	all     []entry // reserved, in order
	acked   int     // how many of them were acknowledged: a prefix
	floor   LSN     // the highest that was asked for
	poisons int

	ops    int    // operations so far
	before string // the file of the last one
	failed string // the kind of the n-th; "" is another kind than those swept
	final  bool   // an operation failed that W8 calls final
	struck bool   // the n-th failed
	cause  error  // what failed operations return
}

// fault fails the n-th operation from now, and what else the plan says.
func (v *victim) fault(n int, p *plan) func(op, name string) error {
	return func(op, name string) error {
		before := v.before
		v.before = name
		v.ops++
		if v.ops != n && !(v.struck && p.after(v.failed, kind(op, name))) {
			return nil
		}
		if v.ops == n {
			v.struck, v.failed = true, kind(op, name)
		}
		v.final = v.final || final(op, name, before, p.err)
		return p.err
	}
}

// live opens the log, uses it until its end or for so many operations, and returns
// the first rule that was broken.
func (v *victim) live(operations int) error {
	l, err := Open(v.opts)
	if err != nil {
		if !v.struck {
			return fmt.Errorf("open: %w", err)
		}
		return nil
	}
	v.log = l
	for i := 0; v.ops < operations; i++ {
		if i > 10*operations {
			return fmt.Errorf("%d steps, and %d operations: it does nothing any more", i, v.ops)
		}
		over := l.Err() != nil
		acked, err := v.step(i)
		switch {
		case acked && over:
			return fmt.Errorf("step %d was acknowledged by a poisoned log", i)
		case v.final && !errors.Is(l.Err(), ErrPoisoned):
			return fmt.Errorf("step %d met a final error and went on: %v, log: %v", i, err, l.Err())
		case v.final && !errors.Is(l.Err(), v.cause):
			return fmt.Errorf("step %d: the poison does not name its cause: %v", i, l.Err())
		case err != nil && !errors.Is(err, ErrPoisoned) && !errors.Is(err, ErrNoSpace):
			return fmt.Errorf("step %d: %w", i, err)
		}
		if over { // one step after the end is enough
			break
		}
		if errors.Is(err, ErrNoSpace) {
			_, _ = v.ack(l.Commit()) // looks for room again; the next step meets what came of it
		}
	}
	return v.end()
}

// step does one thing and says whether it acknowledged records.
func (v *victim) step(i int) (acked bool, err error) {
	switch i % 10 {
	case 6:
		return false, v.reclaim(i)
	case 7:
		for k := range 3 {
			if _, err := v.reserve(i*3+k, k == 1); err != nil {
				return false, err
			}
		}
		return v.ack(v.log.Commit())
	case 8:
		return v.ack(v.log.WriteMark())
	case 9:
		return false, v.read(i)
	default:
		t, err := v.reserve(i, false)
		if err != nil {
			return false, err
		}
		return v.ack(v.log.Wait(&t))
	}
}

func (v *victim) reserve(i int, lazy bool) (Ticket, error) {
	p := payload(i)
	t, err := reserve(v.log, len(p), lazy)
	if err != nil {
		return t, err
	}
	copy(t.Buf, p)
	v.log.Done(&t)
	v.all = append(v.all, entry{t.LSN, p})
	return t, nil
}

// reclaim gives up all but the last two segments and, every other time, rotates, so
// that the files go.
func (v *victim) reclaim(i int) error {
	segs := v.log.Segments()
	first := segs[max(0, len(segs)-2)].First
	v.floor = max(v.floor, first)
	if err := v.log.SetFloor(first); err != nil || i%20 > 10 {
		return err
	}
	_, err := v.ack(v.log.Rotate())
	return err
}

// ack notes the answer to a call that makes everything reserved so far durable.
func (v *victim) ack(err error) (acked bool, _ error) {
	if err != nil {
		return false, err
	}
	acked = len(v.all) > v.acked
	v.acked = len(v.all)
	return acked, nil
}

// read reads an acknowledged record: it must work, but for an error of that very
// reading.
func (v *victim) read(i int) error {
	there := above(v.all[:v.acked], v.log.First())
	if len(there) == 0 {
		return nil
	}
	want, before := there[i%len(there)], v.struck
	got, err := v.log.Read(want.lsn, len(want.payload), nil)
	if err != nil && (errors.Is(err, errInjected) || errors.Is(err, syscall.ENOSPC)) && (!before || v.failed == "") {
		return nil
	}
	if err == nil && string(got) != string(want.payload) {
		err = errors.New("another body")
	}
	if err != nil && v.reading() {
		return fmt.Errorf("read %v: %w", want.lsn, err)
	}
	return nil
}

// reading reports whether the disk can be read at all.
func (v *victim) reading() bool {
	_, err := v.disk.Stat(testDir)
	return err == nil
}

// end closes the log and checks what it said of its poison.
func (v *victim) end() error {
	poisoned := errors.Is(v.log.Err(), ErrPoisoned)
	err := v.log.Close()
	if poisoned && !errors.Is(err, ErrPoisoned) {
		return fmt.Errorf("close of a poisoned log: %v", err)
	}
	if err == nil && v.final {
		return errors.New("a final error came with the close, which says nothing of it")
	}
	if poisoned = errors.Is(err, ErrPoisoned); poisoned != (v.poisons == 1) || v.poisons > 1 {
		return fmt.Errorf("poisoned: %v, and OnPoison was called %d times", poisoned, v.poisons)
	}
	if err == nil {
		v.acked = len(v.all)
	}
	return nil
}

// strike runs one life with a fault and looks at what is left of it.
func strike(base *powerfs.FS, n, operations int, p *plan) (v *victim, err error) {
	v = &victim{disk: base.Cut(0, 100, 512), cause: p.err}
	v.opts = smallOptions(v.disk)
	v.opts.Manual, v.opts.Reserve, v.opts.Rand = true, 1, seeded(1)
	v.opts.OnPoison = func(error) { v.poisons++ }
	if p.interval {
		v.opts.SyncInterval = 1 << 40
	}
	v.disk.SetFault(v.fault(n, p))
	err = v.live(operations)
	v.disk.SetFault(nil)
	if err != nil {
		return v, err
	}
	promised := v.acked
	if p.interval {
		promised = 0 // a prefix it must be all the same
	}
	for _, end := range []struct {
		what  string
		disk  *powerfs.FS
		known int
	}{
		{"the process died", v.disk, v.acked},
		{"a power cut", v.disk.Cut(uint64(n), 50, 512), promised},
		{"a power cut, all unsynced is lost", v.disk.Cut(uint64(n), 0, 4096), promised},
	} {
		left := patient{disk: end.disk, opts: v.opts, known: v.all[:end.known], all: v.all, floor: v.floor}
		if err := left.open(); err != nil {
			return v, fmt.Errorf("%s: %w", end.what, err)
		}
	}
	return v, nil
}

// TestPoisonSweep fails every operation of a run, in turn, in every way: of 300
// operations, or with WAL_ALL_FAULTS set of 2,000.
func TestPoisonSweep(t *testing.T) {
	operations, step := 300, 1
	if os.Getenv("WAL_ALL_FAULTS") != "" {
		operations = 2000
	} else if raceEnabled {
		step = 15
	}
	// A log is there, and a file that the start removes, so that Remove is in the run.
	base := powerfs.New()
	o := smallOptions(base)
	o.Manual, o.Reserve, o.Rand = true, -1, seeded(2)
	mustClose(t, mustOpen(t, o))
	if err := base.Rename(path.Join(testDir, spareName(1)), path.Join(testDir, partName(1))); err != nil {
		t.Fatal(err)
	}
	for i := range plans {
		p := &plans[i]
		t.Run(p.name, func(t *testing.T) {
			var mu sync.Mutex
			runs, poisoned, acked, kinds := 0, 0, 0, map[string]int{}
			life := func(k int) error {
				v, err := strike(base, 1+k*step, operations, p)
				if err != nil {
					return fmt.Errorf("operation %d (%s) failed: %w", 1+k*step, v.failed, err)
				}
				mu.Lock()
				defer mu.Unlock()
				runs, acked, poisoned = runs+1, acked+v.acked, poisoned+v.poisons
				kinds[v.failed]++
				return nil
			}
			inParallel(t, operations/step, func() func(int) error { return life })
			t.Logf("%d runs, %d poisoned, %d records acknowledged and found, failed in turn: %v", runs, poisoned, acked, kinds)
			for _, k := range []string{"write", "sync", "create", "rename", "directory sync"} {
				if kinds[k] == 0 && step == 1 {
					t.Errorf("no %s was ever failed", k)
				}
			}
		})
	}
}
