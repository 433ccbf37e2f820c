package index

import (
	"container/heap"

	"github.com/tidemill/tidemill/engine/record"
)

// Flow is the row of a flow-control key: its limits, as the newest message or pin says,
// and how many messages it has. A key without messages has a row only as long as
// something about it lasts: a pin, a pause, a window that is not over.
type Flow struct {
	User uint32
	Key  string
	ID   uint64 // record.FlowID

	Flags uint16
	record.FlowRule
	Window int64  // record.Flow.Window, unix ms
	Drawn  uint32 // permits of it that may have been used
	Pos    uint64 // where the newest record of it stands, 0: there is none
	Len    uint32 // of the payload there
	Count  uint64 // pending messages

	// ruled is the seq of the message, or the address of the record, that set the rule. A
	// rebuild meets messages in the order in which they were copied.
	ruled uint64
}

// end returns when the window is over, unix ms; 0: there is none. In the sliding mode a
// permit may be used for a period from there on, and counts for another.
func (f *Flow) end() int64 {
	switch {
	case f.Window == 0:
		return 0
	case f.Sliding:
		return f.Window + 2*int64(f.Period)
	}
	return f.Window + int64(f.Period)
}

// holds says whether the key has anything at a time (unix ms) that a row is for.
func (f *Flow) holds(now int64) bool { return f.Count > 0 || f.Flags != 0 || f.end() > now }

const flowSize = 2 + 4 + 4 + 4 + 1 + 8 + 4 + 8 + 4 + 8 + 8

func appendFlow(dst []byte, f *Flow) []byte {
	sliding := byte(0)
	if f.Sliding {
		sliding = 1
	}
	dst = be.AppendUint32(be.AppendUint16(dst, f.Flags), f.Parallelism)
	dst = append(be.AppendUint32(be.AppendUint32(dst, f.Rate), f.Period), sliding)
	dst = be.AppendUint32(be.AppendUint64(dst, uint64(f.Window)), f.Drawn)
	dst = be.AppendUint32(be.AppendUint64(dst, f.Pos), f.Len)
	return be.AppendUint64(be.AppendUint64(dst, f.Count), f.ruled)
}

func decodeFlow(key, v []byte, f *Flow) error {
	if len(key) < 6 || len(v) != flowSize || v[14] > 1 {
		return errBadValue
	}
	*f = Flow{
		User: be.Uint32(key[1:]), Key: string(key[5:]), Flags: be.Uint16(v),
		FlowRule: record.FlowRule{Parallelism: be.Uint32(v[2:]), Rate: be.Uint32(v[6:]), Period: be.Uint32(v[10:]), Sliding: v[14] == 1},
		Window:   int64(be.Uint64(v[15:])), Drawn: be.Uint32(v[23:]), Pos: be.Uint64(v[27:]), Len: be.Uint32(v[35:]),
		Count: be.Uint64(v[39:]), ruled: be.Uint64(v[47:]),
	}
	f.ID = record.FlowID(f.User, f.Key)
	return nil
}

// flow is a flow-control key as the applier holds it.
type flow struct {
	Flow
	stored bool // Pebble has a row of it
	dirty  bool
	due    int64 // when Applier.idle has it looked at, unix ms; 0: it is not in there
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

// flowOf returns a key, marked for writing. One that holds nothing any more begins anew,
// though its row may be there to the end of the batch.
func (a *Applier) flowOf(user uint32, key string) *flow {
	id := record.FlowID(user, key)
	f := a.flows[id]
	switch {
	case f == nil:
		f = &flow{Flow: Flow{User: user, Key: key, ID: id}}
		a.flows[id] = f
	case !f.holds(a.now()):
		a.lose(f.Pos, f.Len)
		f.Flow = Flow{User: user, Key: key, ID: id}
	}
	a.touchFlow(f)
	return f
}

func (a *Applier) touchFlow(f *flow) {
	if !f.dirty {
		f.dirty = true
		a.dirtyFlows = append(a.dirtyFlows, f.ID)
	}
}

// flow applies a record of a key. What it replaces is known here, so Old is not needed.
func (a *Applier) flow(lsn uint64, p []byte) error {
	var d record.Flow
	if err := record.DecodeFlow(p, &d); err != nil {
		return err
	}
	f := a.flowOf(d.User, d.Key)
	a.lose(f.Pos, f.Len)
	a.gain(lsn, uint32(len(p)))
	f.Flags, f.FlowRule, f.Window, f.Drawn = d.Flags, d.FlowRule, d.Window, d.Drawn
	f.Pos, f.Len, f.ruled = lsn, uint32(len(p)), lsn
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
	for _, id := range a.dirtyFlows {
		f := a.flows[id]
		if f == nil || !f.dirty {
			continue
		}
		f.dirty = false
		if err := a.setFlow(f, now); err != nil {
			return err
		}
	}
	a.dirtyFlows = a.dirtyFlows[:0]
	return a.ExpireFlows(now)
}

func (a *Applier) setFlow(f *flow, now int64) error {
	if !f.holds(now) {
		return a.dropFlow(f)
	}
	a.watch(f)
	f.stored = true
	a.key, a.val = namedKey(a.key, kindFlow, f.User, []byte(f.Key)), appendFlow(a.val[:0], &f.Flow)
	return a.batch.Set(a.key, a.val, nil)
}

func (a *Applier) dropFlow(f *flow) error {
	a.lose(f.Pos, f.Len)
	delete(a.flows, f.ID)
	if !f.stored {
		return nil
	}
	a.key = namedKey(a.key, kindFlow, f.User, []byte(f.Key))
	return a.batch.Delete(a.key, nil)
}

// ExpireFlows drops the keys that hold nothing any more at a time (unix ms). Batches do
// so by the times of their records; whoever has opened an index in which nothing happens
// since may say what time it is.
func (a *Applier) ExpireFlows(now int64) error {
	for len(a.idle) > 0 && a.idle[0].end <= now {
		f := a.flows[heap.Pop(&a.idle).(idleFlow).id]
		if f == nil || f.due == 0 {
			continue
		}
		f.due = 0
		if f.holds(now) {
			a.watch(f)
		} else if err := a.dropFlow(f); err != nil {
			return err
		}
	}
	return nil
}

// watch sees to it that a key which has nothing but a window is looked at when that is
// over.
func (a *Applier) watch(f *flow) {
	if f.Count == 0 && f.Flags == 0 && (f.due == 0 || f.end() < f.due) {
		f.due = max(f.end(), 1)
		heap.Push(&a.idle, idleFlow{f.due, f.ID})
	}
}

// idleFlow is a key that will hold nothing at end (unix ms) if nothing happens to it. A
// key may be in the heap more than once.
type idleFlow struct {
	end int64
	id  uint64
}

// idleFlows is a heap: the first is the one that ends first.
type idleFlows []idleFlow

func (h idleFlows) Len() int { return len(h) }

func (h idleFlows) Less(i, j int) bool {
	return h[i].end < h[j].end || h[i].end == h[j].end && h[i].id < h[j].id
}

func (h idleFlows) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *idleFlows) Push(x any) { *h = append(*h, x.(idleFlow)) }

func (h *idleFlows) Pop() any {
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
