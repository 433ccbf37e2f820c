package wal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// groupedLog returns a log whose groups hold several records each, over three
// segments, what it holds, and its durable end as an index would remember it.
func groupedLog(t testing.TB) (files, []entry, Position) {
	t.Helper()
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(11)
	var want []entry
	l := mustOpen(t, o)
	for i := 0; len(segmentNames(t, disk)) < 3 || i%5 != 0; i++ {
		t1, err := l.Reserve(len(payload(i)), Producer)
		if err != nil {
			t.Fatal(err)
		}
		copy(t1.Buf, payload(i))
		l.Done(&t1)
		want = append(want, entry{t1.LSN, payload(i)})
		if i%5 == 4 {
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustClose(t, l)
	return load(t, disk), want, l.Durable()
}

// reclaimedLog is such a log after its oldest segments were given up.
func reclaimedLog(t testing.TB) (files, []entry, Position) {
	t.Helper()
	f, want, _ := groupedLog(t)
	disk := f.store(t)
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(12)
	l := mustOpen(t, o)
	for i := range 20 {
		lsn, err := l.Append(payload(i))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, entry{lsn, payload(i)})
		switch i {
		case 5:
			err = l.SetFloor(l.Segments()[1].First)
		case 6, 12:
			err = l.Rotate()
		case 10:
			err = l.SetFloor(l.Segments()[1].First)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	if l.First() == firstLSN {
		t.Fatal("nothing was reclaimed")
	}
	return load(t, disk), above(want, l.First()), l.Durable()
}

// repaired repairs a log and checks all that a repair promises, against what it
// held before:
//
//   - Verify found what Repair found, and finds nothing afterwards;
//   - the log opens, and every record is there that is not listed as lost;
//   - what is listed is gone, and reading it says damage;
//   - what was changed is kept as it was;
//   - the index's position is a boundary of the log, as before.
func repaired(t testing.TB, f files, want []entry, durable Position) *Report {
	t.Helper()
	disk := f.store(t)
	io := InspectOptions{FS: disk, Dir: testDir, Durable: durable}
	found, err := Verify(io)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	rep, err := Repair(io, "damaged/now")
	if err != nil {
		t.Fatalf("repair: %v", err)
	}
	if fmt.Sprint(found.Damages) != fmt.Sprint(rep.Damages) {
		t.Fatalf("verify found %v, repair %v", found.Damages, rep.Damages)
	}
	if again, err := Verify(io); err != nil || len(again.Damages) > 0 {
		t.Fatalf("after the repair: %v, %+v", err, again)
	}
	checkAside(t, disk, f, rep)
	o := smallOptions(disk)
	o.Manual, o.Rand, o.Durable = true, seeded(2), durable
	l := mustOpen(t, o)
	defer mustClose(t, l)
	checkKept(t, l, rep, want)
	return rep
}

// checkAside: every file that is not now as it was is in damaged/.
func checkAside(t testing.TB, disk *powerfs.FS, f files, rep *Report) {
	t.Helper()
	now := load(t, disk)
	for name, data := range f {
		if bytes.Equal(now[name], data) {
			continue
		}
		if aside := readFile(t, disk, path.Join("../damaged/now", name)); !bytes.Equal(aside, data) {
			t.Fatalf("%s was changed and is not in damaged/ as it was", name)
		}
	}
	if len(rep.Damages) == 0 && !maps.EqualFunc(now, f, bytes.Equal) {
		t.Fatal("a sound log was changed")
	}
}

func checkKept(t testing.TB, l *Log, rep *Report, want []entry) {
	t.Helper()
	lost := func(lsn LSN) *Lost {
		for _, d := range rep.Damages {
			for i := range d.Lost {
				if d.Lost[i].LSN <= lsn && lsn < d.Lost[i].End {
					return &d.Lost[i]
				}
			}
		}
		return nil
	}
	var kept []entry
	gone := 0
	for _, e := range want {
		if lost(e.lsn) == nil {
			kept = append(kept, e)
			continue
		}
		gone++
		_, err := l.Read(e.lsn, len(e.payload), nil)
		if _, ok := errors.AsType[*CorruptionError](err); !ok && !errors.Is(err, ErrNotFound) {
			t.Fatalf("the record at %v was given up, and reading it says %v", e.lsn, err)
		}
	}
	if d := diff(replayAll(t, l), kept); d != "" {
		t.Fatalf("after %+v: %s", rep.Damages, d)
	}
	if n, more := rep.Lost(); n > gone || !more && n != gone {
		t.Fatalf("%d records are gone, the report says %d (more: %v): %+v", gone, n, more, rep.Damages)
	}
}

// TestRepairBitFlips flips bits all over a log. One flip costs at most one
// record, and none where it hits a header or padding.
func TestRepairBitFlips(t *testing.T) {
	f, want, durable := groupedLog(t)
	rng := newRNG(1)
	rounds := 400
	if raceEnabled {
		rounds = 60
	}
	costly := 0
	for range rounds {
		name := slices.Sorted(maps.Keys(f))[rng.IntN(len(f))]
		g := maps.Clone(f)
		g[name] = bytes.Clone(f[name])
		off := rng.IntN(usedBytes(f[name]))
		if rng.IntN(4) == 0 { // headers are small targets
			off = off/groupAlign*groupAlign + rng.IntN(groupHeaderSize)
		}
		g[name][off] ^= 1 << rng.IntN(8)
		rep := repaired(t, g, want, durable)
		n, more := rep.Lost()
		if n > 1 || more && n > 0 {
			t.Fatalf("byte %d of %s: lost %d (more: %v): %+v", off, name, n, more, rep.Damages)
		}
		costly += n
	}
	t.Logf("%d flips cost %d records", rounds, costly)
}

// TestRepairHoles zeroes, or fills with chance, 4 KiB anywhere (P6): lost are
// exactly the records touched.
func TestRepairHoles(t *testing.T) {
	f, want, durable := groupedLog(t)
	rng := newRNG(2)
	rounds := 100
	if raceEnabled {
		rounds = 20
	}
	for range rounds {
		names := slices.Sorted(maps.Keys(f))
		name := names[rng.IntN(len(names))]
		g := maps.Clone(f)
		g[name] = bytes.Clone(f[name])
		used := usedBytes(f[name])
		off := rng.IntN(used-segmentHeaderSize) + rng.IntN(2)*segmentHeaderSize
		hole := g[name][off:min(off+4096, used)]
		clear(hole)
		if rng.IntN(2) == 0 {
			rngReader{rng}.Read(hole)
		}
		rep := repaired(t, g, want, durable)
		first, _ := parseSegmentName(name)
		checkTouched(t, rep, want, first, off, off+len(hole))
	}
}

// checkTouched: every record that is listed as lost has a byte in the hole, or, in
// the last segment, lies where the hole took the highest mark.
func checkTouched(t testing.TB, rep *Report, want []entry, first LSN, from, to int) {
	t.Helper()
	for _, d := range rep.Damages {
		for _, lost := range d.Lost {
			for _, e := range want {
				off := int(e.lsn-first) + segmentHeaderSize
				touched := off < to && off+recordHeaderSize+len(e.payload) > from
				if lost.LSN <= e.lsn && e.lsn < lost.End && !touched {
					t.Fatalf("the record at %v was given up, and the hole from %d to %d did not touch it at %d: %+v", e.lsn, from, to, off, rep.Damages)
				}
			}
		}
	}
}

// TestRepairFiles breaks whole files.
func TestRepairFiles(t *testing.T) {
	tests := []struct {
		name string
		cost string // "none" or "some"
		harm func(f files, names []string)
	}{
		{"header page lost", "none", func(f files, n []string) { clear(f[n[1]][:4096]) }},
		{"header page noise", "none", func(f files, n []string) { rngReader{newRNG(4)}.Read(f[n[1]][:4096]) }},
		{"identity flipped", "none", func(f files, n []string) { f[n[1]][60] ^= 1 }},
		{"first header page lost", "none", func(f files, n []string) { clear(f[n[0]][:4096]) }},
		{"last header page lost", "none", func(f files, n []string) { clear(f[n[len(n)-1]][:4096]) }},
		{"every header page lost", "none", func(f files, n []string) {
			for _, name := range n {
				clear(f[name][:4096])
			}
		}},
		{"header page and first group", "some", func(f files, n []string) { clear(f[n[1]][:8192]) }},
		{"missing", "some", func(f files, n []string) { delete(f, n[1]) }},
		{"empty", "some", func(f files, n []string) { f[n[1]] = nil }},
		{"all zeros", "some", func(f files, n []string) { clear(f[n[1]]) }},
		{"front missing", "some", func(f files, n []string) { delete(f, n[0]) }},
		{"cut short", "some", func(f files, n []string) { f[n[1]] = f[n[1]][:20000] }},
		{"extended", "none", func(f files, n []string) { f[n[1]] = append(f[n[1]], 1, 2, 3) }},
		{"swapped", "none", func(f files, n []string) { f[n[0]], f[n[1]] = f[n[1]], f[n[0]] }},
		{"renamed", "none", func(f files, n []string) { f["12.seg"] = f[n[1]]; delete(f, n[1]) }},
		{"copied", "none", func(f files, n []string) { f[segmentName(9<<32)] = f[n[len(n)-1]] }},
		{"copied over", "some", func(f files, n []string) { f[n[0]] = f[n[1]] }},
		{"foreign name", "none", func(f files, n []string) { f["x.seg"] = []byte("hello") }},
		{"far name", "none", func(f files, n []string) { f[segmentName(99999<<32)] = make([]byte, 65536) }},
		{"last missing", "some", func(f files, n []string) { delete(f, n[len(n)-1]) }},
		{"last two missing", "some", func(f files, n []string) { delete(f, n[len(n)-2]); delete(f, n[len(n)-1]) }},
		{"last all zeros", "some", func(f files, n []string) { clear(f[n[len(n)-1]]) }},
		{"stale groups", "some", func(f files, n []string) { copy(f[n[1]][8192:16384], f[n[0]][8192:]) }},
	}
	for i := range 2 * len(tests) {
		test, source, make := &tests[i/2], "young", groupedLog
		if i%2 == 1 {
			source, make = "reclaimed", reclaimedLog
		}
		t.Run(test.name+"/"+source, func(t *testing.T) {
			f, want, durable := make(t)
			names := slices.Sorted(maps.Keys(f))
			for name := range f {
				f[name] = bytes.Clone(f[name])
			}
			test.harm(f, names)
			rep := repaired(t, f, want, durable)
			n, more := rep.Lost()
			lost := n > 0 || more
			if test.cost == "none" && lost || test.cost == "some" && !lost && source == "young" { // the others are less full
				t.Fatalf("lost %d records (more: %v): %+v", n, more, rep.Damages)
			}
		})
	}
}

// usedBytes returns where the zeros at the end begin, in whole sectors of 512 bytes.
func usedBytes(data []byte) int {
	return alignUp(len(bytes.TrimRight(data, "\x00")), groupAlign)
}
