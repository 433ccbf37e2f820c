package wal

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// sampleLog returns a disk with a cleanly closed log of a few segments, and what
// it holds. The last segment ends with a mark.
func sampleLog(t testing.TB) (*powerfs.FS, []entry) {
	t.Helper()
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(5)
	var want []entry
	for range 3 {
		l := mustOpen(t, o)
		for i := range 6 {
			p := payload(i * 7)
			lsn, err := l.Append(p)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, entry{lsn, p})
		}
		mustClose(t, l)
	}
	return disk, want
}

// scanOnly is recovery up to where it makes a fresh segment, and a replay.
func scanOnly(t testing.TB, disk *powerfs.FS) (found []entry, err error) {
	l := &Log{opts: smallOptions(disk).withDefaults()}
	list, _, err := l.loadSegments(segmentNames(t, disk))
	if err != nil {
		return nil, err
	}
	at := Position{LSN: list[0].first, Chain: list[0].cut.Chain}
	for i := range list[:len(list)-1] {
		if at, err = l.scanSealed(list[i], list[i+1], at, l.countScanned); err != nil {
			return nil, err
		}
	}
	last := list[len(list)-1]
	ts, err := l.scanTail(last, at)
	if err != nil {
		return nil, err
	}
	for i, seg := range list {
		if err := l.replaySegment(seg, seg.first, list.end(i, ts.end.LSN), collect(&found)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// TestBitFlips flips bits all over a log: one bit of every byte, or every bit
// with WAL_ALL_BITS set. The oracle: recovery says corruption with the right
// file, or the content is what it was. The flip may only be invisible where
// nothing stands (behind the end of a segment) and in the group above the
// highest mark, which is the mark of a clean close and holds no record.
func TestBitFlips(t *testing.T) {
	disk, want := sampleLog(t)
	bits := 1
	if os.Getenv("WAL_ALL_BITS") != "" {
		bits = 8
	}
	flips, found := 0, 0
	for name, data := range load(t, disk) {
		poke := poker(t, disk, name)
		used := usedBytes(data)
		step := 1
		if raceEnabled {
			step = 7
		}
		for off := 0; off < len(data); off += step {
			if off >= used {
				step = 509 // nothing stands here: a sample
			}
			for b := range bits {
				bit := byte(1) << ((off + b) % 8)
				poke([]byte{data[off] ^ bit}, off)
				got, err := scanOnly(t, disk)
				poke(data[off:off+1], off)
				flips++
				ce, corrupt := errors.AsType[*CorruptionError](err)
				switch {
				case err == nil && diff(got, want) == "" && off >= used-2*groupAlign:
				case corrupt && ce.Segment != "" && off < used:
					found++
				default:
					t.Fatalf("bit %08b of byte %d of %s: error %v, content: %s", bit, off, name, err, diff(got, want))
				}
			}
		}
	}
	t.Logf("%d flips, %d found, the others harmless", flips, found)
}

// usedBytes returns where the zeros at the end begin, in whole sectors of 512 bytes.
func usedBytes(data []byte) int {
	return alignUp(len(bytes.TrimRight(data, "\x00")), groupAlign)
}

// TestLostSectors zeroes each sector, and each page, of the log in turn.
func TestLostSectors(t *testing.T) {
	disk, want := sampleLog(t)
	for _, grain := range []int{512, 4096} {
		hole := make([]byte, grain)
		for name, data := range load(t, disk) {
			poke := poker(t, disk, name)
			used := usedBytes(data)
			for off := 0; off < used; off += grain {
				saved := data[off : off+grain]
				poke(hole, off)
				got, err := scanOnly(t, disk)
				poke(saved, off)
				_, corrupt := errors.AsType[*CorruptionError](err)
				// The sector with the highest mark is the one whose loss cannot be told
				// from a torn tail: then what is left must be a prefix.
				intact := err == nil && diff(got, want) == ""
				prefix := err == nil && off+grain >= used && len(got) <= len(want) && diff(got, want[:len(got)]) == ""
				if !corrupt && !prefix && (!intact || !bytes.Equal(saved, hole)) {
					t.Fatalf("%d bytes at %d of %s lost: error %v, content: %s", grain, off, name, err, diff(got, want))
				}
			}
		}
	}
}

// TestStaleTail puts stale content above the mark: groups of another use of the
// file, at both grains. The tail is cut, what is below the mark stays.
func TestStaleTail(t *testing.T) {
	for _, grain := range []int{512, 4096} {
		disk, want := sampleLog(t)
		names := segmentNames(t, disk)
		last := names[len(names)-1]
		data, poke := readFile(t, disk, last), poker(t, disk, last)
		old := readFile(t, disk, names[0])[segmentHeaderSize:][:grain]
		for off := alignUp(usedBytes(data), grain); off+grain <= len(data); off += grain {
			poke(old, off)
		}
		o := smallOptions(disk)
		o.Manual = true
		l := mustOpen(t, o)
		if d := diff(replayAll(t, l), want); d != "" {
			t.Fatalf("grain %d: %s", grain, d)
		}
		mustClose(t, l)
	}
}

// TestImitation appends bodies that look like groups, headers and segments of
// the log itself, aligned so that they could be taken for some, and tears the
// group they are in.
func TestImitation(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(3)
	l := mustOpen(t, o)
	first, err := l.Append(payload(1))
	if err != nil {
		t.Fatal(err)
	}
	name := segmentNames(t, disk)[0]
	head := readFile(t, disk, name)[segmentHeaderSize:][:128]
	body := make([]byte, 8<<10) // starts 56 bytes behind a boundary
	for off := groupAlign - groupHeaderSize - recordHeaderSize; off+groupAlign <= len(body); off += groupAlign {
		lsn := first - groupHeaderSize + 2*groupAlign + LSN(off)
		h := groupHeader{lsn: lsn, mark: lsn, bytes: 16, count: 1}
		h.encode(body[off:], 0) // all but the identity, which nobody knows
		copy(body[off+64:], head)
	}
	if _, err := l.Append(body); err != nil {
		t.Fatal(err)
	}
	// Tear the second group's first sector away: its body is all that is left.
	at := l.tail.end.LSN
	off := int(l.tail.seg.offset(at)) - alignUp(groupHeaderSize+recordSize(len(body)), groupAlign)
	poker(t, disk, name)(make([]byte, groupAlign), off)
	l = mustOpen(t, o)
	if got := replayAll(t, l); len(got) != 1 || got[0].lsn != first {
		t.Fatalf("recovered %d records", len(got))
	}
	mustClose(t, l)
}

// TestDamagedFiles breaks whole files.
func TestDamagedFiles(t *testing.T) {
	tests := []struct {
		name string
		want string // in the error
		harm func(f files, names []string)
	}{
		{"cut short", "it was cut or extended", func(f files, n []string) { f[n[0]] = f[n[0]][:len(f[n[0]])-512] }},
		{"last cut short", "it was cut or extended", func(f files, n []string) { f[n[2]] = f[n[2]][:8192] }},
		{"cut in the header", "cut short", func(f files, n []string) { f[n[1]] = f[n[1]][:100] }},
		{"empty", "cut short", func(f files, n []string) { f[n[1]] = nil }},
		{"extended", "it was cut or extended", func(f files, n []string) { f[n[1]] = append(f[n[1]], 0) }},
		{"missing in the middle", "a segment is missing", func(f files, n []string) { delete(f, n[1]) }},
		{"swapped", "renamed or swapped", func(f files, n []string) { f[n[0]], f[n[1]] = f[n[1]], f[n[0]] }},
		{"misnamed", "not the 20 digits", func(f files, n []string) { f["12.seg"] = f[n[0]] }},
		{"copy of the last", "renamed or swapped", func(f files, n []string) { f[segmentName(9<<32)] = f[n[2]] }},
		{"zeroed header", "magic is missing", func(f files, n []string) { clear(f[n[2]][:4096]) }},
		{"later version", "format version 3", func(f files, n []string) {
			h, err := decodeSegmentHeader(f[n[1]])
			if err != nil {
				panic(err)
			}
			h.version = formatVersion + 1
			h.encode(f[n[1]][:4096])
		}},
		{"of another log", "belong to different logs", func(f files, n []string) {
			h, err := decodeSegmentHeader(f[n[1]])
			if err != nil {
				panic(err)
			}
			h.log[0] ^= 1
			h.encode(f[n[1]][:4096])
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			disk, _ := sampleLog(t)
			f := load(t, disk)
			test.harm(f, segmentNames(t, disk))
			o := smallOptions(f.store(t))
			o.Manual = true
			_, err := Open(o)
			_, corrupt := errors.AsType[*CorruptionError](err)
			_, version := errors.AsType[*VersionError](err)
			if !corrupt && !version || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

// TestDamageIsReadAsDamage flips a bit under a running log.
func TestDamageIsReadAsDamage(t *testing.T) {
	disk, want := sampleLog(t)
	o := smallOptions(disk)
	o.Manual = true
	l := mustOpen(t, o)
	defer mustClose(t, l)
	list := *l.segments.Load()
	for _, e := range want {
		seg := list[list.find(e.lsn)]
		off := int(seg.offset(e.lsn)) + recordHeaderSize + 3
		poker(t, disk, seg.name())([]byte{e.payload[3] ^ 4}, off)
		_, err := l.Read(e.lsn, len(e.payload), nil)
		ce, ok := errors.AsType[*CorruptionError](err)
		if !ok || ce.Segment != seg.name() || ce.Offset != seg.offset(e.lsn) {
			t.Fatalf("read %v: %v", e.lsn, err)
		}
	}
}
