package index

import (
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

// TestPullFromBelow: an index that is rebuilt from a log whose beginning is gone counts how
// messages ended that were published there (QUEUES.md B.7), once, and forgets the queues
// whose definition did not come: they were deleted.
func TestPullFromBelow(t *testing.T) {
	b := newBench(t)
	b.lsn = 3<<32 | 512
	b.must(b.a.Begin(3 << 32))
	def := record.PullQueue{User: 1, ID: 9, Name: "orders", Counters: record.PullCounters{Published: 5, Delivered: 2, Retried: 1}}
	b.apply(&def)
	end := func(queue, seq uint64, k record.Kind, op record.PullOp) {
		p := record.Pull{Published: testNow, Since: testNow}
		row := record.Row{User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: queue, Host: queue, Due: testNow, Tries: 1, Pull: p}
		b.apply(&record.Outcome{Row: row, Kind: k, At: testNow, Attempt: 2, Next: testNow + 1000, Step: record.PullStep{Op: op, Next: p}})
	}
	end(9, 2<<32|512, record.Delivered, record.PullAck)
	end(9, 2<<32|1024, record.Retry, record.PullReceive)
	end(8, 2<<32|1536, record.Canceled, record.PullDrop)
	b.flush()
	b.must(b.a.Replayed())
	b.flush()
	var all []PullQueue
	b.must(b.x.PullQueues(func(q *PullQueue) error { all = append(all, *q); return nil }))
	want := record.PullCounters{Published: 5, Delivered: 3, Retried: 2}
	if len(all) != 1 || all[0].ID != 9 || all[0].Counters != want || all[0].Count != 0 {
		t.Errorf("queues %+v, want one that counts %+v", all, want)
	}
}
