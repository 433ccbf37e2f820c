package index

import (
	"container/heap"

	"github.com/tidemill/tidemill/engine/record"
)

// Flow is the row of a flow-control key: its limits, as the newest message or pin says,
// how many messages it has, and what of its newest record lasts (L6): a pin, a pause, a
// window that is not over. A key that has neither messages nor that has no row.
type Flow struct {
	User uint32
	Key  string
	ID   uint64 // record.FlowID

	record.FlowRule
	Count uint64 // pending messages

	// What lasts: all zero if nothing does.
	Flags  uint16 // of record.Flow
	Window int64  // record.Flow.Window, unix ms
	Drawn  uint32 // permits of it that may have been used
	Pos    uint64 // where the record stands
	Len    uint32 // of the payload there
	until  int64  // unix ms; when the window is over, as the record says

	// ruled is the seq of the message that set the rule, 1 if it was a record. A rebuild meets
	// messages in the order in which they were copied.
	ruled uint64
}

// lasts says whether the record means anything at a time (unix ms).
func (f *Flow) lasts(now int64) bool { return f.Flags != 0 || f.until > now }

const flowSize = 2 + 4 + 4 + 4 + 1 + 8 + 4 + 8 + 4 + 8 + 8 + 8

func appendFlow(dst []byte, f *Flow) []byte {
	sliding := byte(0)
	if f.Sliding {
		sliding = 1
	}
	dst = be.AppendUint32(be.AppendUint16(dst, f.Flags), f.Parallelism)
	dst = append(be.AppendUint32(be.AppendUint32(dst, f.Rate), f.Period), sliding)
	dst = be.AppendUint32(be.AppendUint64(dst, uint64(f.Window)), f.Drawn)
	dst = be.AppendUint32(be.AppendUint64(dst, f.Pos), f.Len)
	return be.AppendUint64(be.AppendUint64(be.AppendUint64(dst, f.Count), f.ruled), uint64(f.until))
}

func decodeFlow(key, v []byte, f *Flow) error {
	if len(key) < 6 || len(v) != flowSize || v[14] > 1 {
		return errBadValue
	}
	*f = Flow{
		User: be.Uint32(key[1:]), Key: string(key[5:]), Flags: be.Uint16(v),
		FlowRule: record.FlowRule{Parallelism: be.Uint32(v[2:]), Rate: be.Uint32(v[6:]), Period: be.Uint32(v[10:]), Sliding: v[14] == 1},
		Window:   int64(be.Uint64(v[15:])), Drawn: be.Uint32(v[23:]), Pos: be.Uint64(v[27:]), Len: be.Uint32(v[35:]),
		Count: be.Uint64(v[39:]), ruled: be.Uint64(v[47:]), until: int64(be.Uint64(v[55:])),
	}
	f.ID = record.FlowID(f.User, f.Key)
	return nil
}

// flow is a flow-control key as the applier holds it.
type flow struct {
	Flow
	stored bool // Pebble has a row of it
	dirty  bool
	due    int64 // when Applier.windows has it looked at, unix ms; 0: it is not in there
}

func (a *Applier) loadFlows() error {
	return a.x.Flows(func(f *Flow) error {
		l := &flow{Flow: *f, stored: true}
		a.flows[f.ID] = l
		a.watch(l)
		return nil
	})
}

// now is the newest time of the log, unix ms, to the second: what lasts is measured by
// it, so that a replay does the same. 0: no record of a time was seen.
func (a *Applier) now() int64 { return max(a.history.second, 0) * 1000 }

// flowOf returns a key, marked for writing. One that has no row any more begins anew,
// though that may be there to the end of the batch.
func (a *Applier) flowOf(user uint32, key string) *flow {
	id := record.FlowID(user, key)
	f := a.flows[id]
	if f == nil {
		f = &flow{Flow: Flow{User: user, Key: key, ID: id}}
		a.flows[id] = f
	}
	if a.wane(f, a.now()); f.empty() {
		f.Flow = Flow{User: user, Key: key, ID: id}
	}
	a.touchFlow(f)
	return f
}

// empty says whether a key that has waned has no row.
func (f *flow) empty() bool { return f.Count == 0 && f.Pos == 0 }

// wane takes from a key what lasts no longer at a time (unix ms).
func (a *Applier) wane(f *flow, now int64) {
	if f.Pos == 0 || f.lasts(now) {
		return
	}
	a.lose(f.Pos, f.Len)
	f.Window, f.Drawn, f.Pos, f.Len, f.until = 0, 0, 0, 0, 0
}

func (a *Applier) touchFlow(f *flow) {
	if !f.dirty {
		f.dirty = true
		a.dirtyFlows = append(a.dirtyFlows, f.ID)
	}
}

// flow applies a record of a key. Its rule counts where it is pinned; else the messages'
// does, one of which may have been appended before this and committed since it was made.
// What it replaces is known here, so Old is not needed.
func (a *Applier) flow(lsn uint64, p []byte) error {
	var d record.Flow
	if err := record.DecodeFlow(p, &d); err != nil {
		return err
	}
	f := a.flowOf(d.User, d.Key)
	a.lose(f.Pos, f.Len)
	a.gain(lsn, uint32(len(p)))
	if f.ruled == 0 {
		f.FlowRule, f.ruled = d.FlowRule, 1 // until a message says something else
	}
	if d.Flags&record.FlowPinnedParallelism != 0 {
		f.Parallelism = d.Parallelism
	}
	if d.Flags&record.FlowPinnedRate != 0 {
		f.Rate, f.Period, f.Sliding = d.Rate, d.Period, d.Sliding
	}
	f.Flags, f.Window, f.Drawn, f.until = d.Flags, d.Window, d.Drawn, d.Until()
	f.Pos, f.Len = lsn, uint32(len(p))
	return nil
}

// joinFlow counts a message in, and takes what it says of the limits but for those that
// are pinned.
func (a *Applier) joinFlow(r *record.Row, names *record.LineNames) {
	f := a.flowOf(r.User, string(names.FlowKey))
	f.Count++
	if r.Seq < f.ruled {
		return
	}
	f.ruled = r.Seq
	rule := names.FlowRule
	if f.Flags&record.FlowPinnedParallelism != 0 {
		rule.Parallelism = f.Parallelism
	}
	if f.Flags&record.FlowPinnedRate != 0 {
		rule.Rate, rule.Period, rule.Sliding = f.Rate, f.Period, f.Sliding
	}
	f.FlowRule = rule
}

// fillFlows writes the keys that the batch changed. One that came and went within the
// batch leaves nothing behind (X3).
func (a *Applier) fillFlows() error {
	now := a.now()
	a.ExpireFlows(now)
	for _, id := range a.dirtyFlows {
		f := a.flows[id]
		f.dirty = false
		if err := a.setFlow(f, now); err != nil {
			return err
		}
	}
	a.dirtyFlows = a.dirtyFlows[:0]
	return nil
}

func (a *Applier) setFlow(f *flow, now int64) error {
	a.wane(f, now)
	a.key = namedKey(a.key, kindFlow, f.User, []byte(f.Key))
	if f.empty() {
		delete(a.flows, f.ID)
		if !f.stored {
			return nil
		}
		return a.batch.Delete(a.key, nil)
	}
	a.watch(f)
	f.stored = true
	a.val = appendFlow(a.val[:0], &f.Flow)
	return a.batch.Set(a.key, a.val, nil)
}

// ExpireFlows forgets the windows that are over at a time (unix ms), and the keys that
// have nothing else. Batches do so by the times of their records; whoever has opened an
// index in which nothing has happened for a while may say what time it is.
func (a *Applier) ExpireFlows(now int64) {
	for len(a.windows) > 0 && a.windows[0].end <= now {
		f := a.flows[heap.Pop(&a.windows).(window).flow]
		if f == nil || f.due == 0 {
			continue
		}
		f.due = 0
		a.wane(f, now)
		a.touchFlow(f)
	}
}

// watch sees to it that a key is looked at when its window is over.
func (a *Applier) watch(f *flow) {
	if f.Pos != 0 && f.Flags == 0 && (f.due == 0 || f.until < f.due) {
		f.due = f.until
		heap.Push(&a.windows, window{f.due, f.ID})
	}
}

// window says when the window of a key is over, unix ms. It may be another one by then.
type window struct {
	end  int64
	flow uint64
}

// windows is a heap: the first is over first.
type windows []window

func (h windows) Len() int { return len(h) }

func (h windows) Less(i, j int) bool {
	return h[i].end < h[j].end || h[i].end == h[j].end && h[i].flow < h[j].flow
}

func (h windows) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *windows) Push(x any) { *h = append(*h, x.(window)) }

func (h *windows) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// Flows calls fn with every flow-control key that has a row, those of one account
// together and in the order of their names. The row is valid during the call.
func (x *Index) Flows(fn func(*Flow) error) error {
	return x.scanFlows([]byte{kindFlow}, []byte{kindFlow + 1}, fn)
}

// UserFlows is Flows of one account.
func (x *Index) UserFlows(user uint32, fn func(*Flow) error) error {
	lower, upper := namedRange(kindFlow, user)
	return x.scanFlows(lower, upper, fn)
}

func (x *Index) scanFlows(lower, upper []byte, fn func(*Flow) error) error {
	return x.scan(lower, upper, func(k, v []byte) error {
		var f Flow
		if err := decodeFlow(k, v, &f); err != nil {
			return err
		}
		return fn(&f)
	})
}

// Flow returns one flow-control key. One that was never pinned or paused has no row
// once its messages have ended and its window is over.
func (x *Index) Flow(user uint32, key string) (f Flow, ok bool, err error) {
	ok, err = x.named(kindFlow, user, key, func(k, v []byte) error { return decodeFlow(k, v, &f) })
	return f, ok, err
}
