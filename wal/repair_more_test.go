package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// harmed returns a log with two damaged segments and one that is missing.
func harmed(t testing.TB) (files, []entry, Position) {
	f, want, durable := groupedLog(t)
	names := slices.Sorted(maps.Keys(f))
	f[names[0]] = bytes.Clone(f[names[0]])
	f[names[0]][9000] ^= 8
	delete(f, names[1])
	f[names[2]] = bytes.Clone(f[names[2]])
	f[names[2]][5000] ^= 8
	return f, want, durable
}

// without returns the entries that rep does not list as lost, by the damages that
// by says, nil: by all.
func without(want []entry, rep *Report, by func(Damage) bool) []entry {
	return slices.DeleteFunc(slices.Clone(want), func(e entry) bool {
		return slices.ContainsFunc(rep.Damages, func(d Damage) bool {
			return (by == nil || by(d)) && slices.ContainsFunc(d.Lost, func(l Lost) bool { return l.LSN <= e.lsn && e.lsn < l.End })
		})
	})
}

// TestRepairInterrupted cuts the power at every operation of a repair. Whatever is
// left can be repaired, and costs no more than a repair in one go.
func TestRepairInterrupted(t *testing.T) {
	f, want, durable := harmed(t)
	want = slices.DeleteFunc(want, func(e entry) bool { return e.lsn.Segment() == 2 })
	uncut := repaired(t, f, want, durable)
	for n, done := 1, false; !done; n++ {
		disk := f.store(t)
		if err := syncDir(disk, "."); err != nil {
			t.Fatal(err)
		}
		ops := 0
		disk.SetFault(func(op, _ string) error {
			if op == "ReadAt" || op == "Stat" {
				return nil
			}
			if ops++; ops >= n {
				return errPowerOff
			}
			return nil
		})
		_, err := Repair(InspectOptions{FS: disk, Dir: testDir, Durable: durable}, "damaged/before")
		done = err == nil
		if !done && !errors.Is(err, errPowerOff) {
			t.Fatalf("operation %d fails: %v", n, err)
		}
		disk.SetFault(nil)
		left := load(t, disk.Cut(uint64(n), 50, 512))
		rep := repaired(t, left, without(want, uncut, func(d Damage) bool { return !bytes.Equal(left[d.Segment], f[d.Segment]) }), durable)
		if len(rep.Damages) > len(uncut.Damages) {
			t.Fatalf("cut at operation %d: %+v", n, rep.Damages)
		}
	}
}

// TestRepairTwice damages a log again that was repaired: what an earlier repair
// gave up is not listed again, and what is intact is still there.
func TestRepairTwice(t *testing.T) {
	f, want, durable := groupedLog(t)
	rng := newRNG(3)
	o := InspectOptions{Dir: testDir, Durable: durable}
	for range 40 {
		name := slices.Sorted(maps.Keys(f))[rng.IntN(len(f))]
		g := maps.Clone(f)
		g[name] = bytes.Clone(f[name])
		g[name][rng.IntN(usedBytes(f[name]))] ^= 1 << rng.IntN(8)
		rep := repaired(t, g, want, durable)
		want = without(want, rep, nil)
		disk := g.store(t)
		o.FS = disk
		if _, err := Repair(o, "damaged/now"); err != nil {
			t.Fatal(err)
		}
		f = load(t, disk)
	}
}

// TestKeptTailOfARepairedLog: a repair leaves what lies above the mark to the
// next start, which keeps it as ever, fillers below or not.
func TestKeptTailOfARepairedLog(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(9)
	l := mustOpen(t, o)
	var want []entry
	for i := range 12 {
		lsn, err := l.Append(payload(i))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, entry{lsn, payload(i)})
	}
	f := load(t, disk) // no close: the last group is above the mark
	name := slices.Sorted(maps.Keys(f))[0]
	f[name][segmentHeaderSize+int(want[4].lsn-firstLSN)+20] ^= 1
	rep := repaired(t, f, want, Position{})
	if n, _ := rep.Lost(); n != 1 || rep.End <= rep.Mark {
		t.Fatalf("%+v", rep)
	}
	mustClose(t, l)
}

// badSectors is a file with unreadable blocks.
type badSectors struct {
	vfs.File
	from, to int64
}

func (b badSectors) ReadAt(p []byte, off int64) (int, error) {
	if off < b.to && off+int64(len(p)) > b.from {
		return 0, syscall.EIO
	}
	return b.File.ReadAt(p, off)
}

// TestRoughFile: what the disk refuses to read is zeros, what it reads is not.
func TestRoughFile(t *testing.T) {
	f, _, _ := groupedLog(t)
	name := slices.Sorted(maps.Keys(f))[0]
	r, err := openRough(f.store(t), testDir, name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.file = badSectors{r.file, 8192, 12288}
	got := make([]byte, len(f[name])+5000)
	if _, err := r.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Clone(f[name]), make([]byte, 5000)...)
	clear(want[8192:12288])
	if !bytes.Equal(got, want) || r.bad != 4096 {
		t.Fatalf("read otherwise, %d bytes refused", r.bad)
	}
}

// TestBalance: the four bytes make the checksum what it must be, wherever they
// stand, and a seed is found again in what it sealed.
func TestBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Byte(), 4, 400).Draw(t, "p")
		at := rapid.IntRange(0, len(p)-4).Draw(t, "at")
		before, want := rapid.Uint32().Draw(t, "before"), rapid.Uint32().Draw(t, "want")
		balance(p, at, before, want)
		if got := crc32.Update(before, castagnoli, p); got != want {
			t.Fatalf("checksum %08x, want %08x", got, want)
		}
		if got := unwindCRC(want, p); got != before {
			t.Fatalf("unwound to %08x, want %08x", got, before)
		}
		var id identity
		copy(id[:], p)
		if got := identityOf(id, want).seed(); got != want {
			t.Fatalf("seed %08x, want %08x", got, want)
		}
		h := groupHeader{lsn: LSN(want) &^ 511, mark: 512}
		buf := make([]byte, groupHeaderSize)
		h.encode(buf, want)
		if seed, ok := seedOf(buf, h.lsn); !ok || seed != want {
			t.Fatalf("seed %08x found, want %08x", seed, want)
		}
	})
}

// TestSeedIsNotTakenFromBodies: where a segment's header is lost, a body that is
// full of group headers, sound under a seed of its author's choice, is still a body.
func TestSeedIsNotTakenFromBodies(t *testing.T) {
	for _, seed := range []uint32{1, identity{}.seed()} {
		disk := powerfs.New()
		o := smallOptions(disk)
		o.Manual, o.Rand = true, seeded(4)
		l := mustOpen(t, o)
		var want []entry
		for range 3 {
			body := make([]byte, 4<<10)
			at := l.mu.next + groupHeaderSize + recordHeaderSize // where it will stand
			for off := LSN(alignUp(at, groupAlign) - at); int(off)+64 < len(body); off += groupAlign {
				h := groupHeader{lsn: at + off, mark: firstLSN, prevChain: 7, chain: 7}
				h.encode(body[off:], seed)
			}
			lsn, err := l.Append(body)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, entry{lsn, body})
		}
		mustClose(t, l)
		f := load(t, disk)
		for _, data := range f {
			clear(data[:segmentHeaderSize])
		}
		rep := repaired(t, f, want, l.Durable())
		if n, more := rep.Lost(); n > 0 || more {
			t.Fatalf("seed %08x: lost records: %+v", seed, rep.Damages)
		}
	}
}

// TestDump lists a log with damage in it.
func TestDump(t *testing.T) {
	f, want, durable := harmed(t)
	disk := f.store(t)
	var kinds []string
	var got []entry
	o := InspectOptions{FS: disk, Dir: testDir, Durable: durable}
	err := Dump(o, 0, func(d *Dumped) error {
		kinds = append(kinds, d.Kind)
		if d.Kind == "record" {
			got = append(got, entry{d.LSN, bytes.Clone(d.Payload)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Verify(o)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(got, without(want, rep, nil)); d != "" {
		t.Fatal(d)
	}
	if all := strings.Join(kinds, " "); !strings.HasPrefix(all, "segment group record") || strings.Count(all, "damage") != len(rep.Damages) {
		t.Fatalf("dumped %s, with %+v", all, rep.Damages)
	}
}

// FuzzRepair writes anything anywhere into a log: a repair ends with a log that
// opens, without a panic.
func FuzzRepair(f *testing.F) {
	sample, want, durable := groupedLog(f)
	names := slices.Sorted(maps.Keys(sample))
	f.Add(uint16(1), uint32(5000), []byte{1, 2, 3, 4}, uint16(0))
	f.Add(uint16(2), uint32(0), make([]byte, 4096), uint16(200))
	filler := binary.LittleEndian.AppendUint32(nil, fillerBit|4000)
	f.Add(uint16(0), uint32(segmentHeaderSize+groupHeaderSize), filler, uint16(0))
	f.Fuzz(func(t *testing.T, which uint16, off uint32, patch []byte, short uint16) {
		g := maps.Clone(sample)
		name := names[int(which)%len(names)]
		data := bytes.Clone(sample[name])
		copy(data[int(off)%len(data):], patch)
		g[name] = data[:len(data)-min(len(data), int(short)*64)]
		repaired(t, g, want, durable)
	})
}
