package main

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

// This is a second reader of the log's files, written from wal/FORMAT.md alone:
// what the crash test breaks, and what it expects of that, must not rest on the
// code under test.

const (
	segmentHead = 4096
	groupHead   = 48
	sector      = 512 // groups begin at multiples of it
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segmentFile is the content of one segment.
type segmentFile struct {
	path   string
	data   []byte
	first  uint64 // LSN of the byte behind the header
	cut    uint64 // where the segment before it ends
	chain  uint32 // chained checksum there
	synced uint64
	seed   uint32 // of the group headers' checksums
	end    uint64 // of the data: the next segment's cut, or the limit of the last
}

// readLog reads the segments of a log that no process has open.
func readLog(t testing.TB, dir string) []*segmentFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.seg")) // sorted
	if err != nil || len(paths) == 0 {
		t.Fatalf("no segments in %s: %v", dir, err)
	}
	var segs []*segmentFile
	for _, path := range paths {
		s, err := readSegment(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(segs) > 0 {
			segs[len(segs)-1].end = s.cut
		}
		segs = append(segs, s)
	}
	return segs
}

func readSegment(path string) (*segmentFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if len(data) < segmentHead || string(data[:8]) != "TMWALSEG" {
		return nil, &fs.PathError{Op: "parse", Path: path, Err: errors.New("not a segment")}
	}
	s := &segmentFile{
		path: path, data: data,
		first: le.Uint64(data[24:]), cut: le.Uint64(data[72:]), chain: le.Uint32(data[80:]), synced: le.Uint64(data[88:]),
		seed: crc32.Checksum(data[56:72], castagnoli),
	}
	next := (s.first>>32 + 1) << 32
	s.end = min(s.first+uint64(len(data)-segmentHead), next)
	return s, nil
}

func (s *segmentFile) name() string { return filepath.Base(s.path) }

func (s *segmentFile) offset(lsn uint64) int { return segmentHead + int(lsn-s.first) }

// groupAt is a group: a header that is sound, and what stands behind it.
type groupAt struct {
	lsn, mark, end   uint64
	chainIn, chainTo uint32
	area             []byte // its records
	padding          []byte
}

// header returns the group whose sound header stands at lsn.
func (s *segmentFile) header(lsn uint64) (g groupAt, ok bool) {
	if lsn+groupHead > s.end {
		return g, false
	}
	h, le := s.data[s.offset(lsn):][:groupHead], binary.LittleEndian
	size := uint64(le.Uint32(h[8:]))
	g = groupAt{lsn: le.Uint64(h[16:]), mark: le.Uint64(h[24:]), chainIn: le.Uint32(h[32:]), chainTo: le.Uint32(h[36:])}
	g.end = (lsn + groupHead + size + sector - 1) / sector * sector
	if string(h[:4]) != "TMWG" || le.Uint32(h[44:]) != crc32.Update(s.seed, castagnoli, h[:44]) || g.lsn != lsn || g.end > s.end {
		return g, false
	}
	rest := s.data[s.offset(lsn)+groupHead : s.offset(g.end)]
	g.area, g.padding = rest[:size], rest[size:]
	return g, true
}

// groups returns the sound groups in unbroken order from the start.
func (s *segmentFile) groups() (list []groupAt) {
	lsn, chain := s.first, s.chain
	for {
		g, ok := s.header(lsn)
		if !ok || g.chainIn != chain || crc32.Update(chain, castagnoli, g.area) != g.chainTo || !allZero(g.padding) {
			return list
		}
		list = append(list, g)
		lsn, chain = g.end, g.chainTo
	}
}

// headers returns every group whose header is sound, whatever stands behind it.
func (s *segmentFile) headers() (list []groupAt) {
	for lsn := s.first; lsn < s.end; {
		if g, ok := s.header(lsn); ok {
			list = append(list, g)
			lsn = g.end
		} else {
			lsn += sector
		}
	}
	return list
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// traces looks at every sector from lsn on for headers that are sound, also beyond
// a gap: the highest mark they carry, and where the last of them ends.
func (s *segmentFile) traces(lsn uint64) (mark, last uint64) {
	for last = lsn; lsn < s.end; lsn += sector {
		if g, ok := s.header(lsn); ok {
			mark, last = max(mark, g.mark), g.end
		}
	}
	return mark, last
}

// mark is the highest mark of a last segment: below it everything was on disk.
func (s *segmentFile) mark() uint64 {
	mark, _ := s.traces(s.first)
	return max(s.synced, mark)
}

// eachMessage calls fn with the number and the place in the segment of each
// message of this test in a group: its record, header included.
func (s *segmentFile) eachMessage(g groupAt, fn func(seq uint64, from, to int)) {
	at := s.offset(g.lsn) + groupHead
	for rest := g.area; len(rest) >= 8; {
		n := int(binary.LittleEndian.Uint32(rest))
		size := (8 + n + 7) / 8 * 8
		if size > len(rest) {
			return
		}
		if seq, ok := numberOf(rest[8 : 8+n]); ok {
			fn(seq, at, at+8+n)
		}
		rest, at = rest[size:], at+size
	}
}

// numberOf returns the number of the message that a payload publishes.
func numberOf(payload []byte) (seq uint64, ok bool) {
	var m record.Message
	if typ, err := record.TypeOf(payload); err != nil || typ != record.TypeMessage || record.DecodeMessage(payload, &m) != nil {
		return 0, false
	}
	seq, err := seqOf(m.URL)
	return seq, err == nil
}
