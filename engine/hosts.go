package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
)

// HostState is what is known of a destination host that has messages in memory (L4).
type HostState struct {
	Host     string     `json:"host"`               // as in http://example.com:80; "" if none of its messages can be read
	HalfOpen bool       `json:"halfOpen"`           // it keeps failing, and is probed by one attempt at a time
	Quick    bool       `json:"quick"`              // it answered a moment ago, and soon: it may have its full cap
	Failures int        `json:"failures"`           // attempts in a row without a response
	InFlight int        `json:"inFlight"`           // attempts
	Messages int        `json:"messages"`           // in memory; there may be more on disk
	Millis   int64      `json:"averageMillis"`      // that its responses take
	Answered *time.Time `json:"answered,omitempty"` // the last response
	Probe    *time.Time `json:"nextProbe,omitempty"`
}

// HostsMax bounds the hosts that Hosts returns.
const HostsMax = 1000

// Hosts returns the hosts that fail most, then those with most attempts in flight, at
// most HostsMax. It looks at all messages in memory: it is for people.
func (e *Engine) Hosts() ([]HostState, error) {
	var out []HostState
	var samples []record.Row
	err := e.query(func(c *core) { out, samples = c.hostStates() })
	for i := range out {
		out[i].Host = e.hostName(&samples[i])
	}
	return out, err
}

// hostStates returns the states of hosts, and a message of each.
func (c *core) hostStates() ([]HostState, []record.Row) {
	list := make([]uint32, 0, len(c.byHost))
	for i := range c.hosts {
		if c.hosts[i].entries > 0 {
			list = append(list, uint32(i))
		}
	}
	slices.SortFunc(list, func(a, b uint32) int {
		x, y := &c.hosts[a], &c.hosts[b]
		return cmp.Or(cmp.Compare(y.failures, x.failures), cmp.Compare(y.inflight, x.inflight), cmp.Compare(x.id, y.id))
	})
	list = list[:min(len(list), HostsMax)]
	out, samples := make([]HostState, len(list)), make([]record.Row, len(list))
	place := make(map[uint32]int, len(list))
	for n, i := range list {
		out[n], place[i] = c.hostState(&c.hosts[i]), n
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.state != stFree && e.state != stEnded {
			if n, ok := place[e.host]; ok {
				samples[n] = c.row(e)
			}
		}
	}
	return out, samples
}

func (c *core) hostState(h *host) HostState {
	s := HostState{
		HalfOpen: h.failures >= failuresToHalfOpen, Quick: c.quick(h), Failures: h.failures,
		InFlight: h.inflight, Messages: h.entries, Millis: h.took / 8,
	}
	if h.answered != 0 {
		s.Answered = utc(h.answered)
	}
	if s.HalfOpen {
		s.Probe = utc(h.probe)
	}
	return s
}

// hostName returns the host that a message goes to: the core knows hosts by numbers.
func (e *Engine) hostName(row *record.Row) string {
	if row.Pos == 0 {
		return ""
	}
	p, err := e.readMoved(row, nil)
	if err != nil {
		return ""
	}
	var m record.Message
	if _, err := openMessage(p, row, &m, nil); err != nil {
		return ""
	}
	name, err := dispatch.HostKey(m.URL)
	if err != nil {
		return ""
	}
	return name
}
