package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// Recovery is itself cut short, again and again, on a disk whose page cache shows
// what the disk never got (W6). The oracle: every acknowledged record is there,
// and every record that an Open which went well has shown; what else is there is
// a prefix of what was written, in order; and no Open calls what is left damage.

// patient is a log that a crash left, on its way through recoveries.
type patient struct {
	disk  *powerfs.FS
	opts  Options
	rng   *rand.Rand
	known []entry // acknowledged, or shown by an Open
	all   []entry // written, in order; known is a prefix of it
	floor LSN     // the highest that was asked for: the log may begin there
}

// copyFor is the patient again, with chance of its own.
func (p *patient) copyFor(seed uint64) *patient {
	q := *p
	q.rng = newRNG(seed)
	q.opts.Rand = rngReader{newRNG(seed + 1)}
	return &q
}

// open opens the log and checks what it shows.
func (p *patient) open() error {
	p.opts.FS = p.disk
	l, err := Open(p.opts)
	if err != nil {
		return err
	}
	defer l.readers.close()
	var got []entry
	if err := l.Replay(0, collect(&got)); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if l.First() > max(p.floor, firstLSN) {
		return fmt.Errorf("the log begins at %v, the floor asked for is %v", l.First(), p.floor)
	}
	gone := len(p.all) - len(above(p.all, l.First()))
	end := gone + len(got)
	switch {
	case end < len(p.known):
		return fmt.Errorf("%d records are there, %d were acknowledged or shown before", len(got), len(p.known)-gone)
	case end > len(p.all):
		return fmt.Errorf("%d records are there, %d were written", len(got), len(p.all)-gone)
	}
	if d := diff(got, p.all[gone:end]); d != "" {
		return errors.New(d)
	}
	p.known = p.all[:end]
	return nil
}

// crash opens the log and fails the n-th disk operation, and all that follow
// unless once is set. An Open that gets by has shown what it holds. Then the power
// goes as well, or the process alone dies and the page cache lives.
func (p *patient) crash(n int, once, power bool) error {
	p.disk.SetFault(func(string, string) error {
		if n--; n == 0 || n < 0 && !once {
			return errPowerOff
		}
		return nil
	})
	err := p.open()
	p.disk.SetFault(nil)
	if power {
		p.disk = p.disk.Cut(p.rng.Uint64(), []int{0, 50, 100}[p.rng.IntN(3)], []int{512, 4096}[p.rng.IntN(2)])
	}
	if errors.Is(err, errPowerOff) {
		return nil
	}
	return err
}

// operations counts those of an Open that nothing disturbs.
func (p *patient) operations() (int, error) {
	q := p.copyFor(0)
	q.disk = p.disk.Cut(0, 100, 512)
	n := 0
	q.disk.SetFault(func(string, string) error { n++; return nil })
	return n, q.open()
}

// patients are logs as crashes leave them: each with groups above the highest mark
// that the page cache shows and the disk does not have, or not in full.
func patients(t testing.TB) map[string]func(seed uint64) *patient {
	interval := func(o *Options) { o.SyncInterval = 1 << 40 }
	from := func(a *author, known int) *patient {
		o := a.log.opts
		o.SyncInterval = 0
		return &patient{disk: a.disk, opts: o, known: a.want[:known], all: a.want}
	}
	// unsynced writes groups that no sync reaches, or one that fails.
	unsynced := func(a *author, groups int, fail bool) {
		a.disk.SetFault(func(op, _ string) error {
			if fail && isSync(op) {
				return errInjected
			}
			return nil
		})
		for i := range groups {
			a.group(payload(i*11), payload(i*7+3))
		}
		if fail && a.log.Commit() == nil {
			t.Fatal("the sync did not fail")
		}
		a.disk.SetFault(nil)
	}
	// floored is a log that was told to begin at its last segment but one, and died
	// before a file below had left.
	floored := func(seed uint64, fault func(op, name string) error) *patient {
		a := newAuthor(t, seed, interval)
		for i := range 3 {
			a.group(payload(i))
			if err := a.log.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		a.group(payload(39))
		floor := a.log.Segments()[2].First
		if err := a.log.SetFloor(floor); err != nil {
			t.Fatal(err)
		}
		a.log.Pin()
		a.disk.SetFault(fault)
		if err := a.log.Rotate(); (err != nil) != (fault != nil) {
			t.Fatal(err)
		}
		p := from(a, len(a.want))
		if fault == nil {
			unsynced(a, 4, true)
			p.all = a.want
		}
		a.disk.SetFault(nil)
		p.floor, p.opts.Reserve = floor, 1 // of two files below one is recycled, one removed
		return p
	}
	return map[string]func(uint64) *patient{
		"files below the floor": func(seed uint64) *patient { return floored(seed, nil) },
		"a floor that the page cache alone knows": func(seed uint64) *patient {
			return floored(seed, func(op, name string) error {
				if kind(op, name) == "directory sync" {
					return errInjected
				}
				return nil
			})
		},
		"synced, then a failed sync": func(seed uint64) *patient {
			a := newAuthor(t, seed, interval)
			a.group(payload(1))
			a.group(payload(2), payload(3))
			if err := a.log.Commit(); err != nil {
				t.Fatal(err)
			}
			known := len(a.want)
			unsynced(a, 6, true)
			return from(a, known)
		},
		"nothing durable in the segment": func(seed uint64) *patient {
			a := newAuthor(t, seed, interval)
			unsynced(a, 5, true)
			return from(a, 0)
		},
		"torn": func(seed uint64) *patient {
			a := newAuthor(t, seed, interval)
			a.group(payload(4))
			if err := a.log.Commit(); err != nil {
				t.Fatal(err)
			}
			known := len(a.want)
			unsynced(a, 12, false)
			p := from(a, known)
			p.disk = p.disk.Cut(seed, 80, 512)
			return p
		},
		"second segment, failed sync": func(seed uint64) *patient {
			a := newAuthor(t, seed, nil)
			for len(segmentNames(t, a.disk)) < 2 {
				a.group(bytes.Repeat(payload(39), 10))
			}
			mustClose(t, a.log)
			o := a.log.opts
			o.SyncInterval = 1 << 40
			a.log = mustOpen(t, o)
			known := len(a.want)
			unsynced(a, 4, true)
			return from(a, known)
		},
		"more than a segment above the mark": func(seed uint64) *patient {
			a := newAuthor(t, seed, func(o *Options) { interval(o); o.SegmentSize = 128 << 10 })
			a.group(payload(1))
			if err := a.log.Commit(); err != nil {
				t.Fatal(err)
			}
			unsynced(a, 70, true)
			p := from(a, 1)
			p.opts.SegmentSize = 64 << 10
			return p
		},
	}
}

// TestCrashInRecovery cuts five recoveries in a row short. For each of the five and
// each operation of a recovery there is a history in which that one ends right
// there, the others anywhere; and one in which all five end there.
func TestCrashInRecovery(t *testing.T) {
	const inARow = 5
	for name, admit := range patients(t) {
		t.Run(name, func(t *testing.T) {
			n, err := admit(1).operations()
			if err != nil {
				t.Fatal(err)
			}
			histories, step := 0, 1
			if raceEnabled {
				step = 10
			}
			for op := 1; op <= n+1; op += step {
				for which := range inARow + 1 {
					seed := uint64(op)<<8 | uint64(which)
					if err := recoveries(admit(1).copyFor(seed), inARow, op, which, n); err != nil {
						t.Fatalf("operation %d, recovery %d: %v", op, which, err)
					}
					histories++
				}
			}
			t.Logf("%d operations, %d histories of %d recoveries cut short", n, histories, inARow)
		})
	}
}

// recoveries crashes the k-th recovery at operation op, all of them if k is their
// number, and the others anywhere; then it lets one through, cuts the power, and
// looks again.
func recoveries(p *patient, inARow, op, k, operations int) error {
	for i := range inARow {
		at := 1 + p.rng.IntN(operations+1)
		if i == k || k == inARow {
			at = op
		}
		if err := p.crash(at, p.rng.IntN(2) == 0, p.rng.IntN(2) == 0); err != nil {
			return fmt.Errorf("crash %d, at operation %d: %w", i+1, at, err)
		}
	}
	if err := p.open(); err != nil {
		return fmt.Errorf("the open that nothing disturbs: %w", err)
	}
	p.disk = p.disk.Cut(p.rng.Uint64(), 0, 512)
	if err := p.open(); err != nil {
		return fmt.Errorf("after a power cut behind a good open: %w", err)
	}
	return nil
}

// TestRewriteHasTeeth: were the page cache believed, a power cut would take back
// what an Open has shown. It checks the tests' premise: what the running system
// reads is not on the disk.
func TestRewriteHasTeeth(t *testing.T) {
	p := patients(t)["synced, then a failed sync"](1)
	seen, onDisk := load(t, p.disk), load(t, p.disk.Cut(1, 100, 512))
	name := seen.diff(onDisk)
	if name == "" {
		t.Fatal("the page cache does not lie")
	}
	last := p.all[len(p.all)-1].payload
	if !bytes.Contains(seen[name], last) || bytes.Contains(onDisk[name], last) {
		t.Fatal("the last record is not what it lies about")
	}
}
