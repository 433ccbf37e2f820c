package engine

import (
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// Flow returns a flow-control key of an account: one that has messages, or of which
// anything else is known. It sees every publish that was answered before.
func (e *Engine) Flow(u UserID, key string) (*FlowInfo, error) {
	if err := e.syncAnswered(); err != nil {
		return nil, err
	}
	var out *FlowInfo
	err := e.query(func(c *core) {
		if i, ok := c.flows.byID[record.FlowID(uint32(u), key)]; ok {
			info := c.flowInfo(&c.flows.list[i])
			out = &info
		}
	})
	if err == nil && out == nil {
		err = ErrNotFound
	}
	return out, err
}

// FlowsMax bounds the keys that Flows returns.
const FlowsMax = 10_000

// Flows returns the flow-control keys of an account whose names contain search, by name,
// at most FlowsMax.
func (e *Engine) Flows(u UserID, search string) ([]FlowInfo, error) {
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	var ids []uint64
	err := e.idx.UserFlows(uint32(u), func(f *index.Flow) error {
		if len(ids) < FlowsMax && strings.Contains(f.Key, search) {
			ids = append(ids, f.ID)
		}
		return nil
	})
	if err != nil {
		return nil, indexError(err)
	}
	out := make([]FlowInfo, 0, len(ids))
	return out, e.query(func(c *core) {
		for _, id := range ids {
			if i, ok := c.flows.byID[id]; ok {
				out = append(out, c.flowInfo(&c.flows.list[i]))
			}
		}
	})
}

// flowInfo is what the core knows of a key.
func (c *core) flowInfo(f *flow) FlowInfo {
	info := FlowInfo{
		FlowControl: FlowControl{
			Key: f.key, Parallelism: int(f.rule.Parallelism), Rate: int(f.rule.Rate), Period: millis(int64(f.rule.Period)), Sliding: f.rule.Sliding,
		},
		Waiting: max(0, f.pending-f.inflight-f.pardoned), InFlight: f.inflight,
		Paused:            f.flags&record.FlowPaused != 0,
		PinnedParallelism: f.flags&record.FlowPinnedParallelism != 0,
		PinnedRate:        f.flags&record.FlowPinnedRate != 0,
	}
	period := int64(f.rule.Period)
	if f.rule.Sliding {
		if info.Count = f.slide.used(c.now, period); info.Count > 0 {
			info.PeriodStart = millisTime(f.slide.parts[0].last)
		}
	} else if f.window != 0 && c.now < f.window+period {
		info.Count, info.PeriodStart = f.used, millisTime(f.window)
	}
	c.withUnseen(&info, f)
	return info
}

// withUnseen adds to a view what counts and has not begun. Who waits for a block of
// permits to be logged will have one in a moment: a publish was answered before, and
// whoever asks next is to see that it counts. And a short window is used up after a
// restart.
func (c *core) withUnseen(info *FlowInfo, f *flow) {
	start := c.now
	switch until := c.flows.began + int64(f.rule.Period); {
	case f.rule.Rate == 0:
		return
	case f.block > 0:
		n := min(f.block, info.Waiting)
		info.Count, info.Waiting = info.Count+n, info.Waiting-n
	case c.flows.began != 0 && !f.long() && c.now < until:
		info.Count, start = int(f.rule.Rate), c.flows.began
	}
	if info.Count > 0 && info.PeriodStart.IsZero() {
		info.PeriodStart = millisTime(start)
	}
}

func millisTime(ms int64) time.Time { return time.UnixMilli(ms) }

// GlobalParallelism returns how many attempts may be in flight over all, and how many are.
func (e *Engine) GlobalParallelism() (most, count int) {
	_ = e.query(func(c *core) { count = c.inflight })
	return e.limits.Load().Parallelism, count
}

// PauseFlow keeps all messages of a key from being attempted until ResumeFlow. Those in
// flight end. A key that has no messages yet is paused for those to come.
func (e *Engine) PauseFlow(u UserID, key string) error {
	return e.requestFlow(&flowRequest{ask: flowPause, user: uint32(u), key: key})
}

// ResumeFlow ends a pause.
func (e *Engine) ResumeFlow(u UserID, key string) error {
	return e.requestFlow(&flowRequest{ask: flowResume, user: uint32(u), key: key})
}

// PinFlow sets limits of a key that messages do not change any more until UnpinFlow. A
// pinned rate begins with a new period.
func (e *Engine) PinFlow(u UserID, key string, p FlowPin) error {
	req := &flowRequest{ask: flowPin, user: uint32(u), key: key}
	if p.Parallelism == nil && p.Rate == nil {
		return limitError("name a parallelism, a rate, or both, to be pinned")
	}
	if p.Parallelism != nil {
		if *p.Parallelism < 1 || *p.Parallelism > flowMax {
			return limitError("parallelism must be from 1 to %d", flowMax)
		}
		req.parallelism, req.rule.Parallelism = true, uint32(*p.Parallelism)
	}
	if p.Rate != nil {
		period := p.Period
		if period == 0 {
			period = time.Second
		}
		if *p.Rate < 1 || *p.Rate > flowMax {
			return limitError("rate must be from 1 to %d", flowMax)
		}
		if period < time.Second || period > FlowPeriodMax {
			return limitError("period must be from 1s to 7d")
		}
		req.rate, req.rule.Rate, req.rule.Period = true, uint32(*p.Rate), uint32(period.Milliseconds())
	}
	return e.requestFlow(req)
}

// UnpinFlow lets messages set the limits of a key again; until one does they stay.
func (e *Engine) UnpinFlow(u UserID, key string, parallelism, rate bool) error {
	return e.requestFlow(&flowRequest{ask: flowUnpin, user: uint32(u), key: key, parallelism: parallelism, rate: rate})
}

// ResetFlow ends the present period of a key, so that as many attempts may begin as if
// there had been none; with parallelism those in flight count no more, either.
func (e *Engine) ResetFlow(u UserID, key string, parallelism bool) error {
	ask := flowResetRate
	if parallelism {
		ask = flowReset
	}
	return e.requestFlow(&flowRequest{ask: ask, user: uint32(u), key: key})
}

// requestFlow hands a request to the core and returns when what it changes is durable.
func (e *Engine) requestFlow(req *flowRequest) error {
	if err := e.mayDefine(); err != nil {
		return err
	}
	if err := e.syncAnswered(); err != nil {
		return err
	}
	got := make(chan error, 1)
	req.done = func(err error) { got <- err }
	e.inbox.push(event{kind: evFlow, flow: req})
	select {
	case err := <-got:
		return err
	case <-e.stop:
		return ErrClosed
	}
}

// recoverFlow takes a key as the index has it. Of a window that is not over every permit
// that was drawn counts as used.
func (c *core) recoverFlow(x *index.Flow) {
	i := c.flowOf(x.ID)
	f := &c.flows.list[i]
	f.user, f.key, f.flags, f.rule = x.User, x.Key, x.Flags, x.FlowRule
	f.pos, f.length, f.pending = x.Pos, x.Len, int(x.Count)
	c.flows.pending += f.pending
	if x.Window != 0 && f.long() && !plant.Bug("window-is-not-restored") {
		if f.rule.Sliding {
			f.slide.addMany(c.now, int64(f.rule.Period), int(x.Drawn))
		} else {
			f.window, f.used = x.Window, int(x.Drawn)
		}
	}
	c.dropFlow(i)
}
