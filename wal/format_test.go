package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

var update = flag.Bool("update", false, "rewrite the golden segment of this format version")

// goldenPath holds the segments of goldenLog as this format version writes them,
// without the zeros at the end. The directories beside it are of earlier versions.
const goldenPath = "testdata/v2"

// goldenLog is a cleanly closed log whose oldest segments were reclaimed, and what
// it holds.
func goldenLog(t testing.TB) (*powerfs.FS, []entry) {
	t.Helper()
	disk, want := sampleLog(t)
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(6)
	l := mustOpen(t, o)
	floor := l.Segments()[1].First
	if err := l.SetFloor(floor); err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(); err != nil {
		t.Fatal(err)
	}
	lsn, err := l.Append(payload(77))
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	want = append(want, entry{lsn, payload(77)})
	return disk, slices.DeleteFunc(want, func(e entry) bool { return e.lsn < floor })
}

// loadGolden reads a directory of testdata and gives the files their size back.
func loadGolden(t testing.TB, dir string) files {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(names), err)
	}
	f := files{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f[filepath.Base(name)] = append(data, make([]byte, minSegmentSize-len(data))...)
	}
	return f
}

// TestGolden compares what is written today with the golden bytes. A change here is
// a change of the format: raise the version and add a golden of its own; the old
// one must still be read (TestGoldenVersions).
func TestGolden(t *testing.T) {
	disk, _ := goldenLog(t)
	today := load(t, disk)
	if *update {
		if err := os.MkdirAll(goldenPath, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, data := range today {
			if err := os.WriteFile(filepath.Join(goldenPath, name), bytes.TrimRight(data, "\x00"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	golden := loadGolden(t, goldenPath)
	for _, name := range slices.Sorted(maps.Keys(today)) {
		if !bytes.Equal(golden[name], today[name]) {
			t.Errorf("%s differs from the golden segment", name)
		}
	}
	if len(golden) != len(today) {
		t.Errorf("%d segments, the golden log has %d", len(today), len(golden))
	}
}

// TestGoldenVersions opens the golden log of every version, goes on writing to it,
// and reads it all back.
func TestGoldenVersions(t *testing.T) {
	_, v1 := sampleLog(t)
	_, v2 := goldenLog(t)
	for dir, want := range map[string][]entry{"testdata/v1": v1, "testdata/v2": v2} {
		t.Run(dir, func(t *testing.T) {
			o := smallOptions(loadGolden(t, dir).store(t))
			o.Manual = true
			for range 2 {
				l := mustOpen(t, o)
				if d := diff(replayAll(t, l), want); d != "" {
					t.Fatal(d)
				}
				checkReads(t, l, want)
				lsn, err := l.Append(payload(5))
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, entry{lsn, payload(5)})
				mustClose(t, l)
			}
		})
	}
}

// TestSegmentHeaderTruncated decodes a header cut at every byte.
func TestSegmentHeaderTruncated(t *testing.T) {
	page := make([]byte, segmentHeaderSize)
	h := segmentHeader{version: 1, size: minSegmentSize, first: firstLSN, number: 1, cut: Position{LSN: firstLSN}, synced: firstLSN}
	h.encode(page)
	if got, err := decodeSegmentHeader(page); err != nil || got != h {
		t.Fatalf("round trip: %+v, %v", got, err)
	}
	for n := range page {
		if _, err := decodeSegmentHeader(page[:n]); err == nil {
			t.Fatalf("a header of %d bytes was accepted", n)
		}
	}
}

// FuzzSegmentHeader: what decodes must encode to the same bytes' meaning.
func FuzzSegmentHeader(f *testing.F) {
	page := make([]byte, segmentHeaderSize)
	h := segmentHeader{version: 1, size: minSegmentSize, first: firstLSN, number: 1, cut: Position{LSN: firstLSN}, synced: firstLSN}
	h.encode(page)
	f.Add(page[:128])
	f.Fuzz(func(t *testing.T, data []byte) {
		page := make([]byte, segmentHeaderSize)
		copy(page, data)
		if _, err := decodeSegmentHeader(data); len(data) < segmentHeaderSize && err == nil {
			t.Fatal("a short header was accepted")
		}
		// Give it a checksum that matches, so that the checks behind it are reached.
		putCRC(page, segmentCRCOffset, 0)
		h, err := decodeSegmentHeader(page)
		if err != nil {
			return
		}
		if h.limit() <= h.first || h.offset(h.limit()) > h.size {
			t.Fatalf("impossible header accepted: %+v", h)
		}
		again := make([]byte, segmentHeaderSize)
		h.encode(again)
		if back, err := decodeSegmentHeader(again); err != nil || back != h {
			t.Fatalf("%+v does not survive a round trip: %+v, %v", h, back, err)
		}
	})
}

// putCRC puts the checksum of the first n bytes behind them.
func putCRC(data []byte, n int, seed uint32) {
	binary.LittleEndian.PutUint32(data[n:], crc32.Update(seed, castagnoli, data[:n]))
}

// FuzzGroup decodes arbitrary bytes as a group whose header checksum matches.
func FuzzGroup(f *testing.F) {
	disk, _ := sampleLog(f)
	f.Add(readFile(f, disk, segmentNames(f, disk)[0])[segmentHeaderSize:][:1024])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < groupHeaderSize {
			return
		}
		data = append(bytes.Clone(data), make([]byte, alignUp(len(data), groupAlign)-len(data))...)
		putCRC(data, 44, 77)
		lsn := firstLSN
		h, err := decodeGroupHeader(data, lsn, lsn+LSN(len(data)), 77)
		if err != nil {
			return
		}
		records := 0
		err = eachRecord(data[groupHeaderSize:][:h.bytes], lsn+groupHeaderSize, func(_ LSN, rec, p []byte) error {
			if records++; len(rec) != recordSize(len(p)) {
				t.Fatalf("record of %d bytes for a payload of %d", len(rec), len(p))
			}
			return nil
		})
		if sound := verifyGroup(h, data[:h.end()-h.lsn], 77); sound == nil && (err != nil || records != int(h.count)) {
			t.Fatalf("a group was verified that holds %d records of %d: %v", records, h.count, err)
		}
	})
}

// FuzzRecovery opens a log whose last segment's data is arbitrary.
func FuzzRecovery(f *testing.F) {
	disk, _ := sampleLog(f)
	sample := load(f, disk)
	last := slices.Max(slices.Collect(maps.Keys(sample)))
	f.Add(sample[last][segmentHeaderSize:][:8192], uint16(0))
	f.Add([]byte{}, uint16(512))
	f.Fuzz(func(t *testing.T, data []byte, at uint16) {
		harmed := maps.Clone(sample)
		harmed[last] = bytes.Clone(sample[last])
		copy(harmed[last][min(int(at), len(harmed[last])):], data)
		o := smallOptions(harmed.store(t))
		o.Manual = true
		l, err := Open(o)
		if err != nil {
			_, corrupt := errors.AsType[*CorruptionError](err)
			_, version := errors.AsType[*VersionError](err)
			if !corrupt && !version {
				t.Fatal(err)
			}
			return
		}
		replayAll(t, l)
		mustClose(t, l)
	})
}
