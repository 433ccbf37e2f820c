package engine

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// TestLoggedOnce: an outcome that the log refuses for good stays in hand, but none that
// was logged before it: that would be logged again by the next step, out of memory that
// is given to another attempt by then.
func TestLoggedOnce(t *testing.T) {
	l, err := wal.Open(wal.Options{FS: vfs.NewMem(), Dir: "log", SegmentSize: 64 << 10, MaxRecord: 4 << 10, Reserve: -1, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := &Engine{log: l}
	made := func(body int) appendCommand {
		r := &attemptResult{outcome: record.Outcome{Kind: record.Delivered, Attempt: 1, Body: make([]byte, body)}}
		return appendCommand{outcome: &r.outcome, from: r}
	}
	cmds := []appendCommand{made(10), made(5 << 10), made(20)}
	for range 2 {
		if err := e.logOutcomes(cmds); !errors.Is(err, wal.ErrTooLarge) {
			t.Fatalf("an outcome that is too large: %v", err)
		}
		if len(e.inHand) != 2 || len(e.workers.spare) != 1 {
			t.Fatalf("%d outcomes are in hand, %d are free, of 3 of which one is logged", len(e.inHand), len(e.workers.spare))
		}
		cmds = nil
	}
}
