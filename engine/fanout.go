package engine

import (
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// A publish to a URL group is one record (W9): what its members share stands in it once,
// and all endpoints get the message or none. From there on each member is a message of
// its own.

// PublishGroup stores one message for each endpoint of the group p.Group and returns
// when they are on disk (W4), in the order of the endpoints. A duplicate gets the
// receipts of the original, whatever endpoints the group has by now; one of a message
// to a single URL is one receipt, and may lack the URL. The engine keeps nothing of p.
func (e *Engine) PublishGroup(p *Publish) (out []MemberReceipt, err error) {
	w := startWatch(p.Untimed)
	s, err := e.submit(p)
	if err == nil {
		w.end(&e.tally.append)
		out, err = e.settleMembers(&s)
		w.end(&e.tally.durable)
	}
	e.tally.publish(len(out) > 0 && out[0].Deduplicated, err)
	return out, err
}

// member is what the answer to a publish says of one message of a fan-out. Its seq is
// the record's LSN and its place.
type member struct {
	nonce uint64
	url   string
}

// settleMembers waits as settle does.
func (e *Engine) settleMembers(s *submission) ([]MemberReceipt, error) {
	first, err := e.settle(s)
	if err != nil {
		return nil, err
	}
	seq, members := uint64(s.ticket.LSN), s.members
	if d := s.duplicate; d != nil {
		seq, members = d.seq, d.members
	}
	if len(members) == 0 { // the duplicate of a message to one URL
		return []MemberReceipt{{Receipt: first}}, nil
	}
	out := make([]MemberReceipt, len(members))
	for i, m := range members {
		out[i] = MemberReceipt{URL: m.url, Receipt: Receipt{
			MessageID: MessageID(seq+uint64(i), m.nonce), Deduplicated: first.Deduplicated,
		}}
	}
	return out, nil
}

// buildFanout checks a publish to a group and turns it into the record of a fan-out.
func (e *Engine) buildFanout(p *Publish, m *scratchMessage) error {
	g, err := e.topic(p.User, p.Group)
	if err != nil {
		return err
	}
	if err := e.buildShared(p, m); err != nil {
		return err
	}
	return e.fanOut(&m.Message, g, &m.fan)
}

// fan is the record of a fan-out, with the memory its making needs.
type fan struct {
	record.Fanout
	shared []byte
	rand   chance
}

func (f *fan) free() {
	clear(f.Members)
	f.Members, f.Message = f.Members[:0], nil
	if cap(f.shared) > scratchMax {
		f.shared = nil
	}
}

// fanOut makes the record that publishes m to each endpoint of a group. m lacks
// destination, lane and nonce.
func (e *Engine) fanOut(m *record.Message, g *group, f *fan) error {
	f.free()
	for i := range g.Endpoints {
		ep := &g.Endpoints[i]
		host, err := hostKey(ep.URL)
		if err != nil { // an earlier version took it
			return limitError("invalid endpoint %s of topic %s: %v", ep.URL, g.Name, err)
		}
		f.Members = append(f.Members, record.Member{
			Nonce: f.rand.draw(e.opts.Rand), Lane: laneTo(m, host), Host: host, URL: ep.URL, Endpoint: ep.Name,
		})
	}
	m.Topic = g.Name
	f.shared = m.Append(f.shared[:0])
	f.Message = f.shared
	if meta := f.Size() - len(m.Body); meta > metaMax-4096 {
		return limitError("the endpoints of topic %s, headers and options together exceed %d bytes", g.Name, metaMax-4096)
	}
	return nil
}

// logFanout puts the record of a fan-out into the open group.
func (e *Engine) logFanout(f *fan) (submission, error) {
	t, err := e.log.Reserve(f.Size(), wal.Producer)
	if err != nil {
		return submission{}, refusal(err)
	}
	fill(&t, f.Append(t.Buf[:0]))
	e.log.Done(&t)
	s := submission{ticket: t, nonce: f.Members[0].Nonce, members: make([]member, len(f.Members))}
	for i := range f.Members {
		s.members[i] = member{f.Members[i].Nonce, f.Members[i].URL}
	}
	return s, nil
}
