package wal

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestReadBounds reads with absurd hints and absurd lengths: neither may cost
// more memory than a record has, and none may panic.
func TestReadBounds(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.SegmentSize, o.MaxRecord = true, 8<<20, 1<<20
	l := mustOpen(t, o)
	large := make([]byte, o.MaxRecord)
	copy(large, payload(9))
	var lsns []LSN
	for range 6 {
		lsn, err := l.Append(large)
		if err != nil {
			t.Fatal(err)
		}
		lsns = append(lsns, lsn)
	}
	mustClose(t, l)

	o.MaxRecord = 1 << 10 // records of earlier, more generous days stay readable
	l = mustOpen(t, o)
	defer mustClose(t, l)
	for _, hint := range []int{math.MinInt, -1, 0, 1 << 10, 1 << 20, math.MaxInt} {
		if p, err := l.Read(lsns[1], hint, nil); err != nil || string(p) != string(large) {
			t.Errorf("hint %d: %d bytes, %v", hint, len(p), err)
		}
	}
	seg := (*l.segments.Load())[0]
	length := binary.LittleEndian.AppendUint32(nil, 4<<20)
	poker(t, disk, seg.name())(length, int(seg.offset(lsns[1])))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := l.Read(lsns[1], 0, nil)
	runtime.ReadMemStats(&after)
	if _, ok := errors.AsType[*CorruptionError](err); !ok {
		t.Errorf("bad length: %v, want a corruption", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 512<<10 {
		t.Errorf("bad length: %d bytes were allocated to find out", n)
	}
}
