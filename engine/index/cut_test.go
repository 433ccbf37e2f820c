package index

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// cutter drives one index through groups, batches, flushes and power cuts, all
// drawn from one seed, beside a model.
type cutter struct {
	t    testing.TB
	rng  *rand.Rand
	disk *powerfs.FS
	opts Options
	gen  generator

	x    *Index
	a    *Applier
	log  []logged
	ends []int           // numbers of records at which groups end
	done int             // groups handed to the applier
	at   map[uint64]bool // positions that batches ended at, since the index was opened

	cuts, lost, kept int // power cuts; those that lost batches; those that kept some, not all
	large            int // batches that are too large for a memtable
}

func newCutter(t testing.TB, seed uint64, noSync bool) *cutter {
	c := &cutter{t: t, rng: rand.New(rand.NewPCG(seed, 7)), disk: powerfs.New()}
	c.disk.NoSync = noSync
	c.gen = generator{rng: c.rng, m: newModel(), lsn: 1 << 32, now: testNow}
	c.opts = Options{
		Memtable: int64(4<<10) << c.rng.IntN(8), Cache: 1 << 20, Dir: testDir, DedupWindow: testWindow,
		Quiet: c.rng.IntN(2) == 0, OnFatal: func(err error) { panic(err) },
	}
	if c.opts.Quiet {
		c.disk.Keep = func(name string) bool { return strings.Contains(name, testDir) }
	}
	return c
}

func (c *cutter) open() error {
	c.opts.FS = c.disk
	x, err := Open(c.opts)
	if err != nil {
		return err
	}
	c.x = x
	c.at = map[uint64]bool{x.Start().LSN: true}
	c.a, err = x.NewApplier()
	return err
}

// position returns where a group ends: behind its last record.
func (c *cutter) position(group int) Position {
	return positionAt(c.log[c.ends[group]-1].lsn + 8)
}

// group logs a group of new records.
func (c *cutter) group() error {
	for range 1 + c.rng.IntN(6) {
		r := c.gen.next()
		if err := c.gen.m.apply(r); err != nil {
			return err
		}
		c.log = append(c.log, r)
	}
	c.ends = append(c.ends, len(c.log))
	return nil
}

// apply hands the next group to the applier and now and then ends the batch.
func (c *cutter) apply(flushes int) error {
	from := 0
	if c.done > 0 {
		from = c.ends[c.done-1]
	}
	for _, r := range c.log[from:c.ends[c.done]] {
		if err := c.a.Record(r.lsn, r.payload); err != nil {
			return err
		}
	}
	c.a.EndGroup(c.position(c.done))
	c.done++
	if c.rng.IntN(100) >= flushes {
		return nil
	}
	return c.endBatch()
}

func (c *cutter) endBatch() error {
	if err := c.a.fill(); err != nil { // Flush finds nothing more to fill
		return err
	}
	if c.a.batch.Len() > int(c.opts.Memtable)/2 {
		c.large++
	}
	if err := c.a.Flush(); err != nil {
		return err
	}
	c.at[c.x.Applied()] = true
	return nil
}

// live makes records and applies them until the next power cut.
func (c *cutter) live() error {
	for range c.rng.IntN(16) {
		if err := c.group(); err != nil {
			return err
		}
		if err := c.apply(40); err != nil {
			return err
		}
		if c.rng.IntN(12) == 0 {
			if err := c.x.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// cut cuts the power, and checks what is found afterwards: the state of one
// batch exactly, not older than what the checkpoint said was durable.
func (c *cutter) cut() error {
	checkpoint, err := c.x.Checkpoint()
	if err != nil {
		return err
	}
	ended, applied := c.at, c.x.Applied()
	next := c.disk.Cut(c.rng.Uint64(), c.rng.IntN(101), []int{512, 4096}[c.rng.IntN(2)])
	if err := c.x.Abandon(); err != nil {
		return err
	}
	c.disk, c.x = next, nil
	c.cuts++
	if err := c.open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	start := c.x.Start()
	switch {
	case start.LSN < checkpoint.LSN:
		return fmt.Errorf("X2: the checkpoint was %d, %d is left", checkpoint.LSN, start.LSN)
	case !ended[start.LSN]:
		return fmt.Errorf("X1: opened at %d, where no batch ended", start.LSN)
	case start.LSN != 0 && start != positionAt(start.LSN):
		return fmt.Errorf("X1: position %+v, want %+v", start, positionAt(start.LSN))
	}
	if start.LSN < applied {
		c.lost++
		if start.LSN > checkpoint.LSN {
			c.kept++
		}
	}
	return c.checkPrefix(start)
}

// checkPrefix: the index holds exactly the records below start.
func (c *cutter) checkPrefix(start Position) error {
	m := newModel()
	c.done = 0
	for i, r := range c.log {
		if r.lsn >= start.LSN {
			break
		}
		if err := m.apply(r); err != nil {
			return err
		}
		if i+1 == c.ends[c.done] {
			c.done++
		}
	}
	if err := m.diff(dump(c.t, c.x), start); err != nil {
		return fmt.Errorf("X1: at %d: %w", start.LSN, err)
	}
	return nil
}

// replay applies what was lost and checks that the present is there again.
func (c *cutter) replay() error {
	flushes := c.rng.IntN(101)
	for c.done < len(c.ends) {
		if err := c.apply(flushes); err != nil {
			return err
		}
	}
	if len(c.ends) == 0 {
		return nil
	}
	if err := c.endBatch(); err != nil {
		return err
	}
	return c.gen.m.diff(dump(c.t, c.x), c.position(len(c.ends)-1))
}

// run goes through a number of power cuts.
func (c *cutter) run(cuts int) error {
	if err := c.open(); err != nil {
		return err
	}
	defer func() {
		if c.x != nil {
			_ = c.x.Abandon()
		}
	}()
	for range cuts {
		if err := c.live(); err != nil {
			return err
		}
		if err := c.cut(); err != nil {
			return fmt.Errorf("after power cut %d: %w", c.cuts, err)
		}
		if c.rng.IntN(4) == 0 { // another one before anything was replayed
			continue
		}
		if err := c.replay(); err != nil {
			return fmt.Errorf("replay after power cut %d: %w", c.cuts, err)
		}
	}
	return nil
}

// TestPowerCuts: X1 and X2 over 1,000 power cuts. TIDEMILL_INDEX_SEED runs one
// seed, TIDEMILL_INDEX_SEEDS another number of them.
func TestPowerCuts(t *testing.T) {
	from, to := uint64(1), uint64(1+cutSeeds)
	if v, err := strconv.ParseUint(os.Getenv("TIDEMILL_INDEX_SEEDS"), 10, 64); err == nil {
		to = from + v
	}
	if v, err := strconv.ParseUint(os.Getenv("TIDEMILL_INDEX_SEED"), 10, 64); err == nil {
		from, to = v, v+1
	}
	var cuts, lost, kept, records, large int
	for seed := from; seed < to; seed++ {
		c := newCutter(t, seed, false)
		if err := c.run(10); err != nil {
			t.Fatalf("seed %d: %v\nrun it again with TIDEMILL_INDEX_SEED=%d go test -run TestPowerCuts ./engine/index", seed, err, seed)
		}
		cuts, lost, kept, records, large = cuts+c.cuts, lost+c.lost, kept+c.kept, records+len(c.log), large+c.large
	}
	t.Logf("%d power cuts, %d records, %d batches larger than half a memtable; %d cuts lost batches, %d of these kept batches above the checkpoint",
		cuts, records, large, lost, kept)
	if to-from > 10 && (lost < cuts/4 || large < cuts/10) {
		t.Errorf("only %d of %d power cuts lost anything, and %d batches were large", lost, cuts, large)
	}
}

// TestPowerCutsHaveTeeth: on a disk whose syncs do nothing the same checks fail.
func TestPowerCutsHaveTeeth(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		if err := newCutter(t, seed, true).run(20); err != nil {
			t.Logf("found: seed %d: %v", seed, err)
			return
		}
	}
	t.Error("20 seeds ran clean on a disk that never syncs")
}
