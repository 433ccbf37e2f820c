package httpapi

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// receiveAsk is what a receive asks for.
type receiveAsk struct {
	queue            string
	most             int
	wait, visibility time.Duration
}

// receivePull is POST /v1/queues/{name}/receive (QUEUES.md B.4).
func (x *exchange) receivePull() error {
	ask, fail := x.receiveAsk()
	if fail != nil {
		return fail
	}
	if !x.srv.inflight.spare() {
		return errBusyReceive
	}
	ms, err := x.receive(&ask)
	if err != nil {
		return err
	}
	for i := range ms {
		x.body.hold(&x.srv.inflight, len(ms[i].Body))
	}
	x.out = append(x.out[:0], `{"messages":`...)
	return x.pullList(len(ms), func(o *obj, i int) { o.pullMessage(&ms[i]) })
}

func (x *exchange) receiveAsk() (ask receiveAsk, fail *failure) {
	if fail = x.pullQueueArg(); fail != nil {
		return ask, fail
	}
	var rawMost, rawWait, rawVisibility []byte
	if fail = x.cutNamed("max_messages, wait_seconds and visibility_seconds", true, rawPlace{"max_messages", &rawMost},
		rawPlace{"wait_seconds", &rawWait}, rawPlace{"visibility_seconds", &rawVisibility}); fail != nil {
		return ask, fail
	}
	most, fail := wholeMember("max_messages", rawMost, 1, engine.PullBatchMax)
	if fail != nil {
		return ask, fail
	}
	wait, fail := secondsMember("wait_seconds", rawWait, 0, engine.PullWaitMax, false)
	if fail != nil {
		return ask, fail
	}
	visibility, fail := secondsMember("visibility_seconds", rawVisibility, time.Second, engine.PullVisibilityMax, false)
	if fail != nil {
		return ask, fail
	}
	return receiveAsk{
		queue: string(x.arg), most: orElse(most, pullReceiveUsual), wait: orElse(wait, 0), visibility: orElse(visibility, 0),
	}, nil
}

func orElse[T any](v *T, d T) T {
	if v == nil {
		return d
	}
	return *v
}

// receive leases messages. One that waits holds a place among those that do, and ends
// with no messages when its client goes away or the server stops: nobody reads that
// answer, or whoever does asks again elsewhere.
func (x *exchange) receive(ask *receiveAsk) ([]engine.PullMessage, error) {
	e := x.srv.opt.Engine
	if ask.wait == 0 {
		return e.Receive(x.srv.quit, x.user, ask.queue, ask.most, 0, ask.visibility)
	}
	if !x.srv.waiting.enter(x.user) {
		return nil, errWaiters
	}
	defer x.srv.waiting.leave(x.user)
	ctx, cancel := context.WithCancel(x.srv.quit)
	defer cancel()
	defer x.c.watch(cancel)()
	ms, err := e.Receive(ctx, x.user, ask.queue, ask.most, ask.wait, ask.visibility)
	if err != nil && ctx.Err() != nil {
		return nil, nil
	}
	return ms, err
}
