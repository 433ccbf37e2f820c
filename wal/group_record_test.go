package wal

import (
	"bytes"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestGroupRecord: a group that is retained gives each of its records by its address, and
// nothing at any other.
func TestGroupRecord(t *testing.T) {
	var groups []*Group
	o := smallOptions(powerfs.New())
	o.Manual = true
	o.OnCommit = func(g *Group) {
		g.Retain()
		groups = append(groups, g)
	}
	l := mustOpen(t, o)
	defer mustClose(t, l)
	want := map[LSN][]byte{}
	for i := range 100 {
		p := payload(i)
		tk, err := l.Reserve(len(p), Producer)
		if err != nil {
			t.Fatal(err)
		}
		copy(tk.Buf, p)
		l.Done(&tk)
		if want[tk.LSN] = p; i%7 == 6 {
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, g := range groups {
		for lsn := g.Start() - 64; lsn < g.End().LSN+64; lsn++ {
			p, ok := g.Record(lsn)
			w, is := want[lsn]
			inside := lsn >= g.Start() && lsn < g.End().LSN
			if ok != (is && inside) || ok && !bytes.Equal(p, w) {
				t.Fatalf("at %v of %v to %v: %d bytes, %v", lsn, g.Start(), g.End().LSN, len(p), ok)
			}
			if ok {
				found++
			}
		}
		g.Release()
	}
	if found != len(want) {
		t.Errorf("%d of %d records are found", found, len(want))
	}
}
