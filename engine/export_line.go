package engine

import (
	"cmp"
	"slices"
	"time"
)

// exportLine is what holds a message back besides its host, where it comes from and what
// follows it. Of a schedule it is that of what its ticks publish.
type exportLine struct {
	Topic    string          `json:"topic,omitempty"`
	Endpoint string          `json:"endpoint,omitempty"` // its name in the topic
	Queue    string          `json:"queue,omitempty"`
	Ordering string          `json:"ordering_key,omitempty"`
	Flow     *exportFlow     `json:"flow_control,omitempty"`
	Callback *exportCallback `json:"callback,omitempty"`
	Failure  *exportCallback `json:"failure_callback,omitempty"`
	Labels   []string        `json:"labels,omitempty"`
	Redact   *exportRedact   `json:"redact,omitempty"`
}

// exportRedact is what views hide of a message. An export hides nothing.
type exportRedact struct {
	Body    bool     `json:"body,omitempty"`
	Headers bool     `json:"headers,omitempty"` // all of them
	Names   []string `json:"header_names,omitempty"`
}

func redactOut(r *Redact) *exportRedact {
	if !r.Any() {
		return nil
	}
	return &exportRedact{r.Body, r.Headers, r.Names}
}

type exportFlow struct {
	Key         string `json:"key"`
	Parallelism int    `json:"parallelism,omitempty"`
	Rate        int    `json:"rate,omitempty"`
	Period      int64  `json:"period_ms,omitempty"`
	Sliding     bool   `json:"sliding,omitempty"`
}

type exportCallback struct {
	URL     string      `json:"url"`
	Headers [][2]string `json:"headers,omitempty"`
}

func flowOut(f *FlowControl) *exportFlow {
	if f.Key == "" {
		return nil
	}
	return &exportFlow{f.Key, f.Parallelism, f.Rate, f.Period.Milliseconds(), f.Sliding}
}

func callbackOut(c *CallbackInfo) *exportCallback {
	if c == nil {
		return nil
	}
	return &exportCallback{c.URL, pairs(c.Header)}
}

func (v *Message) lineOut() exportLine {
	return exportLine{
		Topic: v.TopicName, Endpoint: v.Endpoint, Queue: v.QueueName, Ordering: v.Ordering,
		Flow: flowOut(&v.Flow), Callback: callbackOut(v.Callback), Failure: callbackOut(v.Failure),
		Labels: v.Labels, Redact: redactOut(&v.Redact),
	}
}

func (v *ScheduleInfo) lineOut() exportLine {
	return exportLine{
		Topic: v.TopicName, Queue: v.QueueName, Ordering: v.Ordering,
		Flow: flowOut(&v.Flow), Callback: callbackOut(v.Callback), Failure: callbackOut(v.Failure),
		Labels: v.Labels, Redact: redactOut(&v.Redact),
	}
}

// exportGroup is a URL group.
type exportGroup struct {
	Type      string           `json:"type"`
	Name      string           `json:"name"`
	User      UserID           `json:"user"`
	Created   time.Time        `json:"created"`
	Updated   time.Time        `json:"updated"`
	Endpoints []exportEndpoint `json:"endpoints"`
	Headers   [][2]string      `json:"headers,omitempty"` // of every publish to it
}

type exportEndpoint struct {
	Name string `json:"name,omitempty"`
	URL  string `json:"url"`
}

// groups exports the URL groups, by account and name.
func (x *exporter) groups() error {
	for _, g := range x.e.groups.all() {
		out := exportGroup{
			Type: "group", Name: g.Name, User: UserID(g.User), Created: *utc(g.Created), Updated: *utc(g.Updated),
			Endpoints: make([]exportEndpoint, len(g.Endpoints)), Headers: pairs(g.Header),
		}
		for i, ep := range g.Endpoints {
			out.Endpoints[i] = exportEndpoint{Name: ep.Name, URL: ep.URL}
		}
		x.end.Groups++
		if err := x.json.Encode(out); err != nil {
			return err
		}
	}
	return nil
}

// all returns the groups of all accounts, by account and name.
func (s *groups) all() []*group {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*group, 0, s.mu.count)
	for _, named := range s.mu.byUser {
		for _, g := range named {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Name, b.Name))
	})
	return out
}
