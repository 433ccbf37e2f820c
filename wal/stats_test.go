package wal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestHistograms: a group is counted with what is in it, a mark is none, and every sync of
// the commit path is timed.
func TestHistograms(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.Manual = true
	l := mustOpen(t, o)
	defer mustClose(t, l)
	for _, records := range []int{1, 3, 8} {
		for i := range records {
			ticket, err := l.Reserve(10, Producer)
			if err != nil {
				t.Fatal(err)
			}
			copy(ticket.Buf, payload(i))
			l.Done(&ticket)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.WriteMark(); err != nil {
		t.Fatal(err)
	}
	h, s := l.Histograms(), l.Stats()
	if h.GroupRecords.Count != 3 || h.GroupRecords.Sum != 12 || h.GroupRecords.Buckets[1] != 1 || h.GroupRecords.Buckets[4] != 2 || h.GroupRecords.Buckets[8] != 3 {
		t.Errorf("records of groups: %+v", h.GroupRecords)
	}
	if h.GroupBytes.Count != 3 || s.Marks != 1 || h.GroupBytes.Sum >= float64(s.WrittenBytes) {
		t.Errorf("bytes of groups: %+v; %d marks, %d bytes in all", h.GroupBytes, s.Marks, s.WrittenBytes)
	}
	if h.Sync.Count != s.Syncs {
		t.Errorf("%d syncs were timed of %d", h.Sync.Count, s.Syncs)
	}
}
