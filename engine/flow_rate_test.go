package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
)

// withKey makes a message with a flow-control key resident.
func (b *bareCore) withKey(seq uint64, key string, rule record.FlowRule) {
	b.t.Helper()
	m := record.Message{User: 1, Nonce: seq, Due: b.now, Created: b.now, Host: 7, FlowKey: key, FlowRule: rule}
	m.Flow = record.FlowID(1, key)
	m.Lane = laneTo(&m, m.Host)
	if err := b.commitMessage(seq, m.Append(nil)); err != nil {
		b.t.Fatal(err)
	}
}

// TestManyKeys: 100,000 keys with a message each, all for one host. What waits costs
// nothing: each end of an attempt wakes as many as may begin, and not all of them, which
// would take this test an hour; and nothing of a key is left when its message has ended
// and its window is over.
func TestManyKeys(t *testing.T) {
	const keys = 100_000
	b := newBareCore(t, 2*keys)
	for i := range uint64(keys) {
		b.withKey(8*(i+1), fmt.Sprint("k", i), record.FlowRule{Rate: 1, Period: 1000})
	}
	ended := 0
	starts := append([]startCommand(nil), b.after(0).starts...)
	for ended < keys {
		var events []event
		for _, cmd := range starts {
			events = append(events, event{kind: evFinished, slot: cmd.slot, result: &attemptResult{success: true, answered: true}})
		}
		if len(events) == 0 {
			t.Fatalf("%d of %d began, and nobody goes on", ended, keys)
		}
		ended += len(events)
		out := b.after(time.Millisecond, events...)
		starts = append(starts[:0], out.starts...)
		lsn := uint64(1 << 40)
		for _, cmd := range out.appends {
			lsn += 8
			if err := b.commitOutcome(lsn, cmd.outcome.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		b.commitGroup(lsn)
		b.setApplied(lsn + 8)
	}
	b.after(5 * time.Second)
	for range keys/advanceMax + 1 { // timers that one step handles
		b.after(0)
	}
	if len(b.flows.byID) != 0 || len(b.byLane) != 0 {
		t.Errorf("%d keys and %d lanes are left", len(b.flows.byID), len(b.byLane))
	}
}

// rateWire answers at once and notes when attempts began.
type rateWire struct{ at chan time.Time }

func (w rateWire) Do(_ *dispatch.Attempt, r *dispatch.Result) {
	w.at <- time.Now()
	*r = dispatch.Result{Status: 200}
}

// TestRateIsKept is L6 in virtual time, by the starts themselves: fixed windows, of which
// the long one draws its permits from blocks in the log, and the sliding mode.
func TestRateIsKept(t *testing.T) {
	for name, f := range map[string]FlowControl{
		"second":  {Key: "a", Rate: 5},
		"minute":  {Key: "b", Rate: 100, Period: time.Minute},
		"sliding": {Key: "c", Rate: 5, Period: 2 * time.Second, Sliding: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 320
				w := rateWire{make(chan time.Time, n)}
				e := open(t, testOptions(vfs.NewMem(), w))
				ps := make([]Publish, n)
				for i := range ps {
					ps[i] = Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/", i%3), Flow: f}
				}
				publishAll(t, e, ps)
				time.Sleep(time.Hour)
				synctest.Wait()
				close(w.at)
				var starts []time.Time
				for at := range w.at {
					starts = append(starts, at)
				}
				if len(starts) != n {
					t.Fatalf("%d of %d began", len(starts), n)
				}
				checkRate(t, starts, &f)
			})
		})
	}
}

// checkRate: no window, from wherever it is counted, holds more attempts than it may, and
// none is wasted: the last attempt begins when it can.
func checkRate(t *testing.T, starts []time.Time, f *FlowControl) {
	t.Helper()
	period := f.Period
	if period == 0 {
		period = time.Second
	}
	for i, n := 0, 0; i < len(starts); i += n {
		for n = 0; i+n < len(starts) && starts[i+n].Sub(starts[i]) < period; n++ {
		}
		if n > f.Rate {
			t.Errorf("%d attempts within %v, of %d", n, period, f.Rate)
		}
	}
	for i := f.Rate; f.Sliding && i < len(starts); i++ {
		if gap := starts[i].Sub(starts[i-f.Rate]); gap < period {
			t.Errorf("attempts %d to %d begin within %v, a period is %v", i-f.Rate, i, gap, period)
		}
	}
	least := period * time.Duration((len(starts)-1)/f.Rate)
	if took := starts[len(starts)-1].Sub(starts[0]); took > least+least/20+period/8 {
		t.Errorf("all of them took %v, %v would do", took, least)
	}
}
