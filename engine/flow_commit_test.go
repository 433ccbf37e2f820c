package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// TestFlowRequestsInLine: what is asked of a key while a record of it is on its way waits
// in line. One that is answered at once, as reclaiming's for a record that is not the
// newest any more, does not leave those behind it waiting for ever.
func TestFlowRequestsInLine(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	c := newCore(&o, 1)
	answered := map[*flowRequest]error{}
	step := func(events ...event) (logged []*record.Flow) {
		t.Helper()
		if _, err := c.step(1, events); err != nil {
			t.Fatal(err)
		}
		for _, d := range c.out.flowed {
			answered[d.req] = d.err
		}
		return append(logged, c.out.flows...)
	}
	ask := func(ask flowAsk, keep uint64) *flowRequest {
		return &flowRequest{ask: ask, user: 1, key: "k", keep: keep}
	}
	pause, stale, reset, gone, resume := ask(flowPause, 0), ask(flowKeep, 7), ask(flowResetRate, 0), ask(flowKeep, 8), ask(flowResume, 0)
	var logged []*record.Flow
	for _, req := range []*flowRequest{pause, stale, reset, gone, resume} {
		logged = append(logged, step(event{kind: evFlow, flow: req})...)
	}
	if len(logged) != 1 || len(answered) != 0 {
		t.Fatalf("%d records are on their way and %d requests answered", len(logged), len(answered))
	}
	for lsn := uint64(100); len(logged) > 0; lsn += 100 {
		c.out.reset()
		if err := c.commitFlow(lsn, logged[0].Append(nil)); err != nil {
			t.Fatal(err)
		}
		for _, d := range c.out.flowed {
			answered[d.req] = d.err
		}
		logged = append(logged[1:], c.out.flows...)
	}
	for i, req := range []*flowRequest{pause, stale, reset, gone, resume} {
		if err, ok := answered[req]; !ok || err != nil {
			t.Errorf("request %d is answered: %v, %v", i, ok, err)
		}
	}
	if len(c.flows.byID) != 0 {
		t.Error("the key is not forgotten")
	}
}
