package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// goldenFiles returns the golden segments of every version there is, one log after
// the other, without the zeros at their ends.
func goldenFiles(t testing.TB) []files {
	t.Helper()
	dirs, err := filepath.Glob("testdata/v*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden directories: %v", err)
	}
	var logs []files
	for _, dir := range dirs {
		logs = append(logs, readGolden(t, dir))
	}
	return logs
}

// putCRC puts the checksum of the first n bytes behind them.
func putCRC(data []byte, n int, seed uint32) {
	binary.LittleEndian.PutUint32(data[n:], crc32.Update(seed, castagnoli, data[:n]))
}

// FuzzSegmentHeader: what decodes must encode to the same bytes' meaning.
func FuzzSegmentHeader(f *testing.F) {
	for _, log := range goldenFiles(f) {
		for _, data := range log {
			f.Add(data[:128])
		}
	}
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

// FuzzGroup decodes arbitrary bytes as a group whose header checksum matches.
func FuzzGroup(f *testing.F) {
	for _, log := range goldenFiles(f) {
		for _, data := range log {
			f.Add(data[4096:min(len(data), 4096+1024)])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < groupHeaderSize {
			return
		}
		data = append(bytes.Clone(data), make([]byte, alignUp(len(data), groupAlign)-len(data))...)
		lsn := firstLSN
		binary.LittleEndian.PutUint64(data[16:], uint64(lsn))
		putCRC(data, 44, 77)
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

// How FuzzRecover treats its bytes.
const (
	fuzzPad    = 1 << iota // zeros up to the size in the header
	fuzzHeader             // make the segment headers' checksums match
	fuzzGroups             // and those of whatever may be a group's header
	fuzzNames              // name the files as their headers say
	fuzzGolden             // and put the rest of a golden log beside them
)

// fuzzBytesMax bounds what recovery of n bytes of segment files may allocate, the
// memory disk's own share included: a constant, for spares and buffers, and a few
// copies of what is there. Not what a length in the files says.
func fuzzBytesMax(n int) uint64 { return 8<<20 + 64*uint64(n) }

// fuzzFile makes a segment file of arbitrary bytes.
func fuzzFile(data []byte, how byte) []byte {
	data = bytes.Clone(data[:min(len(data), 256<<10)])
	if how&fuzzPad != 0 && len(data) >= 24 {
		if size := binary.LittleEndian.Uint64(data[16:]); size > uint64(len(data)) && size <= 256<<10 {
			data = append(data, make([]byte, int(size)-len(data))...)
		}
	}
	if len(data) < 4096 {
		return data
	}
	if how&fuzzHeader != 0 {
		putCRC(data, 4092, 0)
	}
	if how&fuzzGroups != 0 {
		seed := crc32.Checksum(data[56:72], castagnoli)
		for off := 4096; off+512 <= len(data); off += 512 {
			if string(data[off:off+4]) == "TMWG" {
				putCRC(data[off:], 44, seed)
			}
		}
	}
	return data
}

// fuzzLog puts two arbitrary files on a disk.
func fuzzLog(golden files, one, two []byte, how byte) files {
	names := slices.Sorted(maps.Keys(golden))
	log := files{}
	if how&fuzzGolden != 0 {
		for name, data := range golden {
			log[name] = fuzzFile(data, fuzzPad)
		}
	}
	for i, data := range [][]byte{one, two} {
		if len(data) == 0 && how&fuzzGolden != 0 {
			continue
		}
		data = fuzzFile(data, how)
		name := names[min(i, len(names)-1)]
		if how&fuzzNames != 0 && len(data) >= 32 {
			name = segmentName(LSN(binary.LittleEndian.Uint64(data[24:])))
		}
		log[name] = data
	}
	return log
}

// FuzzRecover opens logs whose segments are arbitrary bytes: it says what is
// damaged, or which version it cannot read, or it is a log that works. It never
// panics, and allocates no more than fuzzBytesMax.
func FuzzRecover(f *testing.F) {
	golden := goldenFiles(f)
	for _, log := range golden {
		names := slices.Sorted(maps.Keys(log))
		for i := range names {
			for _, how := range []byte{0, fuzzPad, fuzzPad | fuzzGolden, fuzzPad | fuzzHeader | fuzzGroups | fuzzNames | fuzzGolden} {
				f.Add(log[names[i]], log[names[min(i+1, len(names)-1)]], how, uint64(firstLSN))
				f.Add(log[names[i]], []byte{}, how, uint64(firstLSN)+48)
			}
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte, how byte, at uint64) {
		log := fuzzLog(golden[len(golden)-1], one, two, how)
		total := 0
		for _, data := range log {
			total += len(data)
		}
		disk := log.store(t)
		o := smallOptions(disk)
		o.Manual = true
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		l, err := Open(o)
		if err == nil {
			err = l.Replay(0, func(*Group) error { return nil })
			if err != nil {
				t.Fatalf("Open went well, and Replay: %v", err)
			}
			_, err = l.Read(LSN(at), int(at>>40), nil)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > fuzzBytesMax(total) {
			t.Fatalf("%d bytes of segments, and recovery allocated %d", total, n)
		}
		if l == nil {
			ce, corrupt := errors.AsType[*CorruptionError](err)
			ve, version := errors.AsType[*VersionError](err)
			if !corrupt && !version || corrupt && ce.Hint == "" || version && ve.Found <= ve.Supported {
				t.Fatal(err)
			}
			return
		}
		mustWork(t, l, o)
	})
}

// mustWork appends to a log that was just opened, reads, and opens it again.
func mustWork(t *testing.T, l *Log, o Options) {
	want := replayAll(t, l)
	for _, e := range want {
		if got, err := l.Read(e.lsn, 0, nil); err != nil || !bytes.Equal(got, e.payload) {
			t.Fatalf("read %v: %d bytes of %d, %v", e.lsn, len(got), len(e.payload), err)
		}
	}
	lsn, err := l.Append(payload(1))
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, entry{lsn, payload(1)})
	mustClose(t, l)
	l = mustOpen(t, o)
	if d := diff(replayAll(t, l), want); d != "" {
		t.Fatal(d)
	}
	mustClose(t, l)
}
