package httpapi

import "github.com/tidemill/tidemill/engine"

// pullMessage is GET /v1/messages/{id} of a message of this API.
func (x *exchange) pullMessage() error {
	m, err := x.findPull(string(x.arg))
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.pullMessage(&m) })
}

// deletePullMessage is DELETE /v1/messages/{id} of one, in any state of it.
func (x *exchange) deletePullMessage() error {
	id := string(x.arg)
	if _, err := x.findPull(id); err != nil {
		return err
	}
	if err := x.srv.opt.Engine.Cancel(x.user, id); err != nil {
		return err
	}
	return x.accepted() // as version 1 answers on this path
}

// pullMessage writes a message object (QUEUES.md B.4). The message itself is the text
// that was published.
func (o *obj) pullMessage(m *engine.PullMessage) {
	o.str("message_id", m.ID)
	o.str("queue", m.Queue)
	o.key("message")
	o.b = append(o.b, m.Body...)
	o.opt("lease_id", m.LeaseID)
	o.num("attempts", int64(m.Attempts))
	o.time("published_at", m.Published)
	if !m.Received.IsZero() {
		o.time("first_received_at", m.Received)
	}
	o.time("visible_at", m.Visible)
	o.pullHeader(m.Header)
	o.opt("group", m.Group)
	o.pullDead(m.Dead)
}

// pullHeader writes a map from name to value, and nothing when there are none.
func (o *obj) pullHeader(hs []engine.Header) {
	if len(hs) == 0 {
		return
	}
	o.key("headers")
	in := obj{b: o.b}
	for i := range hs {
		in.separate()
		in.b = append(appendString(in.b, hs[i].Name), ':')
		in.b = appendString(in.b, hs[i].Value)
	}
	o.b = in.end()
}

// pullDead writes how a message came to a dead letter queue (QUEUES.md B.6).
func (o *obj) pullDead(d *engine.PullDead) {
	if d == nil {
		return
	}
	o.key("dead_letter")
	in := obj{b: o.b}
	in.str("source_queue", d.Source)
	in.str("reason", d.Reason)
	in.num("attempts", int64(d.Attempts))
	if d.Status != 0 {
		in.num("last_status", int64(d.Status))
	}
	in.time("at", d.At)
	o.b = in.end()
}
