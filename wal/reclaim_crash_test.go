package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// reclaimRun is a log that reclaims as it goes: of its segments the newest two
// stay, older files become spares, and these segments again. All records are of one
// size, so that what a file held before stands exactly where new groups will.
type reclaimRun struct {
	acked []entry
	doubt []entry // at most one: appended, outcome unknown
	floor LSN     // the highest that was asked for
}

func reclaimOptions(disk *powerfs.FS) Options {
	o := smallOptions(disk)
	o.Manual, o.Rand, o.Reserve = true, seeded(9), 1
	return o
}

// work appends n records, and reclaims as it goes, until something fails.
func (r *reclaimRun) work(l *Log, from, n int) error {
	for i := from; i < from+n; i++ {
		p := make([]byte, 12<<10)
		binary.LittleEndian.PutUint64(p, uint64(i))
		p[len(p)-1] = byte(i)
		lsn, err := l.Append(p)
		if err != nil {
			if lsn != 0 {
				r.doubt = []entry{{lsn, p}}
			}
			return err
		}
		r.acked = append(r.acked, entry{lsn, p})
		if segs := l.Segments(); len(segs) > 3 {
			r.floor = segs[len(segs)-2].First
			if err := l.SetFloor(r.floor); err != nil {
				return err
			}
		}
		if i%9 == 0 {
			if err := l.Rotate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// check opens what is left and holds it against what was promised: everything
// acknowledged at or above the floor is there, in order, and the log begins no
// higher than it was told to.
func (r *reclaimRun) check(disk *powerfs.FS) (*Log, error) {
	l, err := Open(reclaimOptions(disk))
	if err != nil {
		return nil, err
	}
	if r.floor != 0 && l.First() > r.floor || r.floor == 0 && l.First() != firstLSN {
		return l, fmt.Errorf("the log begins at %v, above the floor %v", l.First(), r.floor)
	}
	var got []entry
	if err := l.Replay(0, collect(&got)); err != nil {
		return l, err
	}
	want := above(r.acked, l.First())
	if len(got) > len(want) {
		want = append(want, r.doubt...)
	}
	if d := diff(got, want); d != "" {
		return l, errors.New(d)
	}
	r.acked, r.doubt = got, nil
	return l, nil
}

// survive checks a disk, goes on working on it, and checks it once more.
func (r reclaimRun) survive(disk *powerfs.FS) error {
	l, err := r.check(disk)
	if err != nil {
		return err
	}
	if err := r.work(l, 1000, 12); err != nil {
		return fmt.Errorf("going on: %w", err)
	}
	if st := l.Stats(); st.Segments > 5 || st.Spares > 2 || st.HeldBytes > 0 {
		return fmt.Errorf("space is lost: %+v", st)
	}
	// No final mark: the process dies and the page cache lives.
	if l, err = r.check(disk); err != nil {
		return fmt.Errorf("the second time: %w", err)
	}
	names, err := disk.List(testDir)
	if st := l.Stats(); err != nil || len(names) != st.Segments+st.Spares {
		return fmt.Errorf("files %v, %+v, %w", names, st, err)
	}
	return nil
}

// staleTail reports whether the last segment holds groups of an earlier use above
// its end.
func staleTail(t *testing.T, disk *powerfs.FS) bool {
	if _, err := disk.Stat(testDir); err != nil {
		return false
	}
	names := segmentNames(t, disk)
	if len(names) == 0 {
		return false
	}
	data := readFile(t, disk, names[len(names)-1])
	h, err := decodeSegmentHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	for off := segmentHeaderSize; off < len(data); off += groupAlign {
		if binary.LittleEndian.Uint32(data[off:]) != groupMagic {
			continue
		}
		if _, err := decodeGroupHeader(data[off:], h.first+LSN(off-segmentHeaderSize), h.limit(), h.identity.seed()); err != nil {
			return true
		}
	}
	return false
}

// reclaimUntil works on a new disk whose n-th operation fails; all later ones too
// if the power is what goes.
func reclaimUntil(n int, power, noSync bool) (r reclaimRun, disk *powerfs.FS, over bool) {
	disk = powerfs.New()
	disk.NoSync = noSync
	left := n
	disk.SetFault(func(string, string) error {
		if left--; left == 0 || left < 0 && power {
			return errPowerOff
		}
		return nil
	})
	if l, err := Open(reclaimOptions(disk)); err == nil {
		_ = r.work(l, 0, 45)
	}
	disk.SetFault(nil)
	return r, disk, left > 0
}

// TestReclaimCuts cuts the power at every single disk operation of a run that
// rotates, raises floors and recycles: each rename, each sync, each removal, each
// half of a write. What is left is opened as it may have reached the disk, at both
// grains, and worked on.
func TestReclaimCuts(t *testing.T) {
	step := 1
	if raceEnabled {
		step = 17
	}
	stale, cuts := map[int]int{}, 0
	n := 1
	for ; ; n += step {
		r, disk, over := reclaimUntil(n, true, false)
		if over {
			break
		}
		for i, percent := range []int{0, 50, 100} {
			grain := []int{512, 4096}[(n/step+i)%2]
			d := disk.Cut(uint64(n), percent, grain)
			if staleTail(t, d) {
				stale[grain]++
			}
			cuts++
			if err := r.survive(d); err != nil {
				t.Fatalf("power off at operation %d, %d %% of %d B survived: %v", n, percent, grain, err)
			}
		}
	}
	t.Logf("%d operations, %d cuts, stale groups above the end in %v of them (by grain)", n, cuts, stale)
	if stale[512] == 0 || stale[4096] == 0 {
		t.Error("no recycled file had its former content above the end: this test proves less than it should")
	}
}

// TestReclaimFaults fails every single disk operation of the same run once. The
// log is poisoned or goes on; then the process dies, and the power goes or not.
func TestReclaimFaults(t *testing.T) {
	step := 1
	if raceEnabled {
		step = 17
	}
	for n := 1; ; n += step {
		r, disk, over := reclaimUntil(n, false, false)
		if over {
			break
		}
		if err := r.survive(disk.Cut(uint64(n), 50, 512)); err != nil {
			t.Fatalf("operation %d failed, then the power: %v", n, err)
		}
		if err := r.survive(disk); err != nil {
			t.Fatalf("operation %d failed: %v", n, err)
		}
	}
}

// TestReclaimCutTwice lets a process die between the rename that puts a floor in
// force and the sync of the directory, and cuts the power at every operation of
// the recovery: it sees the new floor in the page cache, but the disk may not have
// it, and what is below must not be written to before it has.
func TestReclaimCutTwice(t *testing.T) {
	options := func(disk *powerfs.FS) Options {
		o := reclaimOptions(disk)
		o.Reserve = -1 // so that the recovery recycles what it finds
		return o
	}
	recycled := 0
	for nth := 1; recycled < thin(2); nth++ {
		prepare := func() (r reclaimRun, disk *powerfs.FS, failed bool) {
			disk = powerfs.New()
			left := nth
			disk.SetFault(func(op, name string) error {
				if op == "Sync" && name == testDir {
					left--
				}
				if left <= 0 {
					return errPowerOff
				}
				return nil
			})
			if l, err := Open(options(disk)); err == nil {
				_ = r.work(l, 0, 30)
			}
			disk.SetFault(nil)
			return r, disk, left <= 0
		}
		_, disk, failed := prepare()
		if !failed {
			break
		}
		if l := mustOpen(t, options(disk)); l.Recovery().Leftovers == 0 || l.Stats().Recycled == 0 {
			continue // not a floor that it died of
		}
		recycled++
		for n := 1; ; n++ {
			r, disk, _ := prepare()
			left := n
			disk.SetFault(func(string, string) error {
				if left--; left <= 0 {
					return errPowerOff
				}
				return nil
			})
			_, err := Open(options(disk))
			for _, percent := range []int{0, 60} {
				if err := r.survive(disk.Cut(uint64(n), percent, 512)); err != nil {
					t.Fatalf("directory sync %d failed, power off at operation %d of the recovery: %v", nth, n, err)
				}
			}
			if err == nil {
				break // the recovery was over before
			}
		}
	}
	if recycled == 0 {
		t.Error("no recovery recycled what was below the floor")
	}
	t.Logf("%d recoveries that recycled, cut at every operation", recycled)
}

// TestReclaimCutsHaveTeeth runs the same on a disk whose syncs lie.
func TestReclaimCutsHaveTeeth(t *testing.T) {
	failed, runs := 0, 0
	for n := 40; ; n += 23 {
		r, disk, over := reclaimUntil(n, true, true)
		if over {
			break
		}
		runs++
		if r.survive(disk.Cut(uint64(n), 50, 512)) != nil {
			failed++
		}
	}
	if failed < runs/2 {
		t.Errorf("of %d power cuts without syncs %d were found out", runs, failed)
	}
}

// TestStaleFloor: a file below the floor whose name a power cut brought back may
// hold anything, a later segment's header included; nothing is read from it.
func TestStaleFloor(t *testing.T) {
	disk := powerfs.New()
	l := mustOpen(t, reclaimOptions(disk))
	var r reclaimRun
	if err := r.work(l, 0, 20); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	f := load(t, disk)
	names := segmentNames(t, disk)
	f[segmentName(firstLSN)] = bytes.Clone(f[names[len(names)-1]])
	if err := r.survive(f.store(t)); err != nil {
		t.Fatal(err)
	}
}
