package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// Bounds of what a publish to a pull queue names (QUEUES.md B.3), bytes.
const (
	pullKeyMax   = 256 // of a deduplication id
	pullGroupMax = 256
)

// PublishPull stores messages one by one and waits for all of them together: each has its
// own result, in order. A queue that is not there is made.
func (e *Engine) PublishPull(u UserID, ps []PullPublish) []Result {
	start := time.Now()
	out, subs := make([]Result, len(ps)), make([]submission, len(ps))
	for i := range ps {
		subs[i], out[i].Err = e.submitPull(u, &ps[i])
	}
	start = e.tally.append.Since(start)
	for i := range subs {
		if out[i].Err == nil {
			out[i].Receipt, out[i].Err = e.settle(&subs[i])
		}
	}
	e.tally.durable.Since(start)
	e.tally.publishMany(out)
	return out
}

// submitPull puts a message into the open group, behind its queue's definition.
func (e *Engine) submitPull(u UserID, p *PullPublish) (submission, error) {
	m := messages.Get().(*scratchMessage)
	defer m.free()
	if err := e.checkPull(p); err != nil {
		return submission{}, err
	}
	d, err := e.ensurePull(u, p.Queue)
	if err != nil {
		return submission{}, err
	}
	if err := e.buildPull(p, d, m); err != nil {
		return submission{}, err
	}
	return e.submitBuilt(m)
}

func (e *Engine) checkPull(p *PullPublish) error {
	shell := Publish{Body: p.Body, Header: p.Header, CallerIP: p.CallerIP, Queue: p.Queue, Ordering: p.Group}
	switch {
	case !validPullName(p.Queue):
		return errPullName
	case len(p.Body) == 0:
		return limitError("message is required")
	case len(p.DedupID) > pullKeyMax:
		return limitError("idempotency_key is longer than %d bytes", pullKeyMax)
	case len(p.Group) > pullGroupMax:
		return limitError("group is longer than %d bytes", pullGroupMax)
	case p.Delay != nil && (*p.Delay < 0 || *p.Delay > e.pullDelayMax()):
		return limitError("delay_seconds must be from 0 to %d", int64(e.pullDelayMax()/time.Second))
	}
	if err := e.space.refusal(); err != nil {
		return err
	}
	return e.checkLimits(&shell)
}

// buildPull turns a publish into a record.
func (e *Engine) buildPull(p *PullPublish, d *pullDef, m *scratchMessage) error {
	now := e.opts.Wall()
	wait := millis(d.Delay)
	if p.Delay != nil {
		wait = *p.Delay
	}
	due := now.UnixMilli()
	if wait > 0 { // rounded up: never early (T3)
		due = now.Add(wait + time.Millisecond - 1).UnixMilli()
	}
	m.Message = record.Message{
		Flags: record.FlagPull, User: d.User, Nonce: m.rand.draw(e.opts.Rand), Due: due, Created: now.UnixMilli(),
		Lane: d.ID, Host: d.ID, URL: pullPath(d.Name), Header: p.Header, CallerIP: p.CallerIP, PullName: d.Name, PullGroup: p.Group,
	}
	placePull(&m.Message, d.ID)
	m.zstd = m.SetBody(p.Body, m.zstd)
	if p.DedupID != "" {
		m.DedupKey = pullDedup(d.ID, p.DedupID)
	}
	return nil
}

// placePull puts a message into a queue.
func placePull(m *record.Message, id uint64) {
	m.Lane, m.Host = id, id
	if m.PullGroup != "" {
		m.Line.Queue, m.Lane = id, record.PullGroupLane(id, m.PullGroup)
	}
}

// pullPath is what history shows for the destination of a message of a pull queue, which
// has none: the queue's path. So nobody takes its name for that of a queue of /v2.
func pullPath(name string) string { return "/v1/queues/" + name }

// pullDedup is the key by which a message is deduplicated: its scope is the queue, and not
// another one that had its name.
func pullDedup(queue uint64, id string) [16]byte {
	h := sha256.New()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], queue)
	h.Write([]byte("pull"))
	h.Write(b[:])
	h.Write([]byte(id))
	return [16]byte(h.Sum(nil))
}
