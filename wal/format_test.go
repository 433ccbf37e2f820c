package wal

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
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
