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
)

var update = flag.Bool("update", false, "rewrite the golden segment of this format version")

// goldenPath holds the segments of sampleLog as version 1 writes them, without
// the zeros at the end.
const goldenPath = "testdata/v1"

// TestGolden compares what is written today with the golden bytes, and reads
// the golden bytes back. A change here is a change of the format: raise the
// version and add a golden of its own; the old one must still be read.
func TestGolden(t *testing.T) {
	disk, want := sampleLog(t)
	golden := files{}
	for name, data := range load(t, disk) {
		path := filepath.Join(goldenPath, name)
		if *update {
			if err := os.MkdirAll(goldenPath, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, bytes.TrimRight(data, "\x00"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, make([]byte, len(data)-len(stored))...)
		if !bytes.Equal(stored, data) {
			t.Errorf("%s differs from the golden segment", name)
		}
		golden[name] = stored
	}
	o := smallOptions(golden.store(t))
	o.Manual = true
	l := mustOpen(t, o)
	if d := diff(replayAll(t, l), want); d != "" {
		t.Fatal(d)
	}
	mustClose(t, l)
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
