package main

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tidemill/tidemill/wal"
)

// TestLogFileReader holds the second reader of the log's files against the first:
// the same records at the same addresses, and the mark of a clean close.
func TestLogFileReader(t *testing.T) {
	dir := t.TempDir()
	want := map[uint64][]byte{}
	for range 2 { // two segments
		l, err := wal.Open(wal.Options{Dir: dir, SegmentSize: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			p := bytes.Repeat([]byte{byte(i)}, 300*i)
			lsn, err := l.Append(p)
			if err != nil {
				t.Fatal(err)
			}
			want[uint64(lsn)] = p
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	segs := readLog(t, dir)
	got := 0
	for _, s := range segs {
		groups := s.groups()
		if end := groups[len(groups)-1].end; s != segs[len(segs)-1] && end != s.end {
			t.Errorf("%s: the groups end at %d, the next segment says %d", s.name(), end, s.end)
		}
		if len(s.headers()) != len(groups) {
			t.Errorf("%s: %d headers, %d groups", s.name(), len(s.headers()), len(groups))
		}
		for _, g := range groups {
			if len(g.area) == 0 {
				continue // a mark
			}
			payload := g.area[8:][:binary.LittleEndian.Uint32(g.area)]
			if p, ok := want[g.lsn+groupHead]; !ok || !bytes.Equal(p, payload) {
				t.Errorf("%s: %d bytes at %d, appended were %d", s.name(), len(payload), g.lsn, len(p))
			}
			got++
		}
	}
	if last := segs[len(segs)-1]; got != len(want) || last.mark() != last.groups()[len(last.groups())-1].lsn {
		t.Errorf("%d records of %d; mark %d", got, len(want), last.mark())
	}
	last := segs[len(segs)-1]
	last.data[last.offset(last.first)+20] ^= 1
	if len(last.groups()) != 0 || len(last.headers()) == 0 || last.mark() == 0 {
		t.Error("a header that is damaged does not end the order, or hides what lies behind it")
	}
}
