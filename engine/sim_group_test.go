package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/record"
)

// simGroups are URL groups by their names, as lists of URLs: as was acked, and as the log
// says. What was published to them is fans, by the id of the first member.
type simGroups struct {
	acked, logged map[string][]string
	fans          map[string]*simFan
}

// simFan is a publish to a group, or the tick of a schedule.
type simFan struct {
	ids   []string
	acked bool
}

func newSimGroups() simGroups {
	return simGroups{acked: map[string][]string{}, logged: map[string][]string{}, fans: map[string]*simFan{}}
}

var simGroupNames = [...]string{"g0", "g1", "g2"}

// groupStep changes a group. A change is durable, and shows, when it is answered.
func (s *sim) groupStep() {
	name := simGroupNames[s.rng.IntN(len(simGroupNames))]
	urls := make([]string, 1+s.rng.IntN(3))
	es := make([]Endpoint, len(urls))
	for i := range urls {
		urls[i] = fmt.Sprintf("http://h%d.example/g%d", s.rng.IntN(5), s.rng.IntN(2))
		es[i].URL = urls[i]
	}
	acked := &s.lines.groups.acked
	now := slices.Clone((*acked)[name])
	missing := now == nil
	var err error
	switch n := s.rng.IntN(8); {
	case n == 0:
		now, missing, err = nil, false, s.e.DeleteGroup(1, name)
	case n < 3:
		now = slices.DeleteFunc(now, func(u string) bool { return slices.Contains(urls, u) })
		err = s.e.RemoveEndpoints(1, name, es)
	default:
		missing = false
		for _, u := range urls {
			if !slices.Contains(now, u) {
				now = append(now, u)
			}
		}
		err = s.e.AddEndpoints(1, name, es)
	}
	switch {
	case missing && errors.Is(err, ErrNotFound):
	case err != nil:
		s.refused("change of group "+name, err)
	case len(now) == 0:
		delete(*acked, name)
	default:
		(*acked)[name] = now
	}
	s.note("group", uint64(len(now)))
}

// chooseGroup gives a message to be published a group in the place of its URL, now and
// then one that is not there.
func (s *sim) chooseGroup(p *Publish) {
	if s.rng.IntN(5) > 0 {
		return
	}
	name := simGroupNames[s.rng.IntN(len(simGroupNames))]
	if len(s.lines.groups.acked[name]) > 0 || s.rng.IntN(4) == 0 {
		p.Group, p.URL = name, ""
	}
}

// addFan takes a fan-out that is in the open group. m is its first member.
func (s *sim) addFan(p *Publish, m *simMessage, sub *submission) {
	urls := s.lines.groups.acked[p.Group]
	if len(sub.members) != len(urls) {
		s.fail("S19: a publish to group %s has %d members, the group %d", p.Group, len(sub.members), len(urls))
		return
	}
	m.fan = &simFan{}
	for i, member := range sub.members {
		x := m
		if i > 0 {
			x = new(simMessage)
			*x = *m
			x.starts, x.behave = map[int]int{}, max(0, s.rng.IntN(8)-3)
		}
		x.id, x.url = MessageID(uint64(sub.ticket.LSN)+uint64(i), member.nonce), urls[i]
		m.fan.ids = append(m.fan.ids, x.id)
		s.messages[x.id] = x
	}
	s.lines.groups.fans[m.id] = m.fan
}

// ids returns the ids that the answer to a publish names.
func (m *simMessage) ids() []string {
	if m.fan != nil {
		return m.fan.ids
	}
	return []string{m.id}
}

// idsOf returns the ids that the answer to a duplicate names.
func idsOf(d *seen) (ids []string) {
	for i, m := range d.members {
		ids = append(ids, MessageID(d.seq+uint64(i), m.nonce))
	}
	if ids == nil {
		ids = []string{MessageID(d.seq, d.nonce)}
	}
	return ids
}

// settleFan takes the answer to a fan-out.
func (s *sim) settleFan(f *simFan, sub *submission) error {
	receipts, err := s.e.settleMembers(sub)
	if err != nil {
		return err
	}
	for i := range f.ids {
		m := s.messages[f.ids[i]]
		if len(receipts) != len(f.ids) || receipts[i].MessageID != m.id || receipts[i].URL != m.url {
			s.fail("S19: a fan-out of %d is answered with %+v", len(f.ids), receipts)
			return nil
		}
		m.acked = true
	}
	f.acked = true
	return nil
}

func (s *sim) observeGroup(p []byte) error {
	var g record.Group
	if err := record.DecodeGroup(p, &g); err != nil {
		return err
	}
	urls := make([]string, len(g.Endpoints))
	for i := range urls {
		urls[i] = g.Endpoints[i].URL
	}
	s.lines.groups.logged[g.Name] = urls
	return nil
}

func (s *sim) observeDropGroup(p []byte) error {
	var d record.DropGroup
	if err := record.DecodeDropGroup(p, &d); err != nil {
		return err
	}
	delete(s.lines.groups.logged, d.Name)
	return nil
}

// observeFanout takes the members of a fan-out, each a message to be delivered: those of
// the group as the log has it there, of a publish that was asked for or of a tick.
func (s *sim) observeFanout(lsn uint64, p []byte) error {
	var f record.Fanout
	if err := record.DecodeFanout(p, &f); err != nil {
		return err
	}
	g := &s.lines.groups
	var urls []string
	fan := &simFan{acked: true}
	for i := range f.Members {
		var m record.Message
		if _, err := record.OpenMessage(p, f.Members[i].Nonce, &m); err != nil {
			return err
		}
		if i == 0 && m.Flags&record.FlagTick != 0 {
			s.observeTick(&m)
		} else if i == 0 && g.fans[MessageID(lsn, m.Nonce)] == nil {
			s.fail("S19: a fan-out at %d, which nobody published", lsn)
		}
		if err := s.observeMessage(lsn+uint64(i), &m); err != nil {
			return err
		}
		if m.Flags&record.FlagTick != 0 {
			s.expect(lsn+uint64(i), &m, nil)
		}
		fan.ids = append(fan.ids, MessageID(lsn+uint64(i), m.Nonce))
		urls = append(urls, strings.Clone(m.URL))
		if i == len(f.Members)-1 && !slices.Equal(urls, g.logged[m.Topic]) {
			s.fail("S19: a fan-out to group %s goes to %v, the group has %v", m.Topic, urls, g.logged[m.Topic])
		}
	}
	if known := g.fans[fan.ids[0]]; known == nil {
		g.fans[fan.ids[0]] = fan
	} else if !slices.Equal(known.ids, fan.ids) {
		s.fail("S19: a fan-out of %v is in the log as %v", known.ids, fan.ids)
	}
	s.lines.fans++
	s.lines.members += len(urls)
	return nil
}

// checkGroups is S19 for groups: they are as was acked, and as the log says.
func (s *sim) checkGroups() {
	g := &s.lines.groups
	have := map[string][]string{}
	infos, err := s.e.Groups(1)
	if err != nil {
		s.fail("S19: groups: %v", err)
	}
	for i := range infos {
		for _, ep := range infos[i].Endpoints {
			have[infos[i].Name] = append(have[infos[i].Name], ep.URL)
		}
	}
	if !maps.EqualFunc(have, g.acked, slices.Equal) || !maps.EqualFunc(have, g.logged, slices.Equal) {
		s.fail("S19: the groups are %v, acked were %v, and the log has %v", have, g.acked, g.logged)
	}
}

// checkFans is S19 for the index after a power cut, which is as far as the log then: of
// each fan-out every member is known, as pending or by its end, or none.
func (s *sim) checkFans() {
	for id, f := range s.lines.groups.fans {
		n := 0
		for _, id := range f.ids {
			seq, nonce, err := parseMessageID(id)
			if err != nil {
				s.fail("id %s: %v", id, err)
				return
			}
			r, found, err := s.e.idx.Row(seq)
			if err != nil {
				s.fail("row of %s: %v", id, err)
				return
			}
			if found && r.Nonce == nonce || s.messages[id].log.over {
				n++
			}
		}
		if n != len(f.ids) && (n > 0 || f.acked) {
			s.fail("S19: of fan-out %s, acked: %v, are %d members left of %d", id, f.acked, n, len(f.ids))
		}
	}
}

// checkFanEnds is S19 when all is over.
func (s *sim) checkFanEnds() {
	for id, f := range s.lines.groups.fans {
		n := 0
		for _, id := range f.ids {
			if s.messages[id].log.over {
				n++
			}
		}
		if n != len(f.ids) && (n > 0 || f.acked) {
			s.fail("S19: of fan-out %s, acked: %v, have %d members ended of %d", id, f.acked, n, len(f.ids))
		}
	}
}
