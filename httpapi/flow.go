package httpapi

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// flows is GET /v2/flowControl. Unknown parameters are ignored, as on all listings.
func (x *exchange) flows() error {
	var search string
	for query := x.query; len(query) > 0; {
		var pair []byte
		pair, query = cutPair(query)
		if name, value := cutParam(pair); string(unescapeForm(name)) == "search" {
			search = string(unescapeForm(value))
		}
	}
	fs, err := x.srv.opt.Engine.Flows(x.user, search)
	if err != nil {
		return err
	}
	return x.list(len(fs), func(o *obj, i int) { o.flow(&fs[i]) })
}

// flowKey is the key that a path names. It is any text, so it may be escaped, and may
// hold slashes: what may follow a key is known.
func (x *exchange) flowKey() (string, *failure) {
	key := string(unescape(nil, x.arg))
	switch {
	case key == "":
		return "", errNoFlowKey
	case len(key) > keyMax:
		return "", badRequest("invalid flow-control key %s: must be at most %d bytes", short(key), keyMax)
	}
	return key, nil
}

func (x *exchange) flow() error {
	key, fail := x.flowKey()
	if fail != nil {
		return fail
	}
	f, err := x.srv.opt.Engine.Flow(x.user, key)
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.flow(f) })
}

// flow writes the members of a flow-control key, all of them always: periods and
// times are in seconds (QSTASH.md §8.7).
func (o *obj) flow(f *engine.FlowInfo) {
	o.str("flowControlKey", f.Key)
	o.num("waitListSize", int64(f.Waiting))
	o.num("parallelismMax", int64(f.Parallelism))
	o.num("parallelismCount", int64(f.InFlight))
	o.num("rateMax", int64(f.Rate))
	o.num("rateCount", int64(f.Count))
	o.num("ratePeriod", periodSeconds(f.Period))
	start := int64(0)
	if !f.PeriodStart.IsZero() {
		start = f.PeriodStart.Unix()
	}
	o.num("ratePeriodStart", start)
	o.flag("isPaused", f.Paused)
	o.flag("isPinnedParallelism", f.PinnedParallelism)
	o.flag("isPinnedRate", f.PinnedRate)
}

// periodSeconds is a period in whole seconds, rounded up; 1 when none was given.
func periodSeconds(d time.Duration) int64 {
	return max(int64(math.Ceil(d.Seconds())), 1)
}

// changeFlow makes the handler of an operation on a key without parameters. There is
// nothing to undo of a key that is not known, which is no failure.
func changeFlow(operation func(e Engine, u engine.UserID, key string) error) func(x *exchange) error {
	return func(x *exchange) error {
		key, fail := x.flowKey()
		if fail != nil {
			return fail
		}
		if err := operation(x.srv.opt.Engine, x.user, key); err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		return x.done()
	}
}

// resetFlow makes the handler of resetRate, or of reset, which clears the parallelism
// in use as well.
func resetFlow(parallelism bool) func(x *exchange) error {
	return changeFlow(func(e Engine, u engine.UserID, key string) error { return e.ResetFlow(u, key, parallelism) })
}

// pinFlow is POST /v2/flowControl/{key}/pin?parallelism=&rate=&period=.
func (x *exchange) pinFlow() error {
	pin, fail := flowPin(x.query)
	if fail != nil {
		return fail
	}
	return changeFlow(func(e Engine, u engine.UserID, key string) error { return e.PinFlow(u, key, pin) })(x)
}

func flowPin(query []byte) (pin engine.FlowPin, fail *failure) {
	fail = eachParam(query, func(name, value string) *failure {
		var n int
		var why string
		switch name {
		case "parallelism":
			n, why = flowLimit(name, []byte(value))
			pin.Parallelism = &n
		case "rate":
			n, why = flowLimit(name, []byte(value))
			pin.Rate = &n
		case "period":
			pin.Period, why = flowPeriod([]byte(value))
		default:
			return badRequest("unknown parameter %s: a pin takes parallelism, rate and period", short(name))
		}
		if why != "" {
			return badRequest("invalid %s %s: %s", name, short(value), why)
		}
		return nil
	})
	switch {
	case fail != nil:
	case pin.Parallelism == nil && pin.Rate == nil:
		fail = badRequest("a pin needs parallelism, rate or both")
	case pin.Period != 0 && pin.Rate == nil:
		fail = badRequest("period is that of rate, which is missing")
	}
	return pin, fail
}

// unpinFlow is POST /v2/flowControl/{key}/unpin?parallelism=true&rate=true.
func (x *exchange) unpinFlow() error {
	parallelism, rate, fail := flowUnpin(x.query)
	if fail != nil {
		return fail
	}
	return changeFlow(func(e Engine, u engine.UserID, key string) error { return e.UnpinFlow(u, key, parallelism, rate) })(x)
}

func flowUnpin(query []byte) (parallelism, rate bool, fail *failure) {
	fail = eachParam(query, func(name, value string) *failure {
		at := &parallelism
		switch name {
		case "parallelism":
		case "rate":
			at = &rate
		default:
			return badRequest("unknown parameter %s: an unpin takes parallelism and rate", short(name))
		}
		if *at = strings.EqualFold(value, "true"); !*at && !strings.EqualFold(value, "false") {
			return badFilter(name, value, "true or false")
		}
		return nil
	})
	return parallelism, rate, fail
}

func (x *exchange) globalParallelism() error {
	most, count := x.srv.opt.Engine.GlobalParallelism()
	return x.one(func(o *obj) {
		o.num("parallelismMax", int64(most))
		o.num("parallelismCount", int64(count))
	})
}

// cutFlowOperation cuts "key/pause" into the key and what is to be done with it.
func cutFlowOperation(tail []byte) (key, operation []byte) {
	i := bytes.LastIndexByte(tail, '/')
	if i < 0 {
		return tail, nil
	}
	return tail[:i], tail[i+1:]
}
