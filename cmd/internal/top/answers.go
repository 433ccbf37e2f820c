package top

import (
	"time"

	"github.com/tidemill/tidemill/engine"
)

// answers are the documents that a snapshot is made of.
type answers struct {
	disk         *engine.Stats
	serverHosts  struct{ Hosts []engine.HostState }
	accountHosts []accountHost
	stats        accountStats
	parallelism  *Parallelism
	flows        []Flow
	push         []pushQueue
	pull         struct{ Queues []pullQueue }
	metrics      struct{ Queues map[string]pullCounts }
}

// accountHost is what an account is told of a host that others use as well.
type accountHost struct {
	Host      string
	HalfOpen  bool
	NextProbe int64
	InFlight  int
	Messages  int
}

type accountStats struct {
	From        int64
	To          int64 // the server's time
	StepSeconds int64
	Backlog     int64
	Total       struct {
		Published, Delivered, Retried, Failed, Canceled float64

		LatencyMillis, LatenessMillis *Quantiles
	}
}

type pushQueue struct {
	Name        string
	Parallelism int
	Lag         int
	Paused      bool
}

type pullQueue struct {
	Name     string
	Paused   bool
	Webhook  string `json:"webhook_url"`
	Parallel int    `json:"max_concurrency"`
	Pending  int
	InFlight int `json:"in_flight"`
	Delayed  int
}

type pullCounts struct {
	Oldest    float64 `json:"oldest_age_seconds"`
	Published uint64
	Delivered uint64
	Dead      uint64 `json:"dead_lettered"`
}

func (a *answers) snapshot(now time.Time) *Snapshot {
	s := &Snapshot{
		At: now, Disk: a.disk, Account: a.stats.account(), Parallelism: a.parallelism,
		Hosts: []Host{}, Queues: []Queue{}, Flows: append([]Flow{}, a.flows...),
	}
	for i := range a.serverHosts.Hosts {
		if h := &a.serverHosts.Hosts[i]; h.Host != "" { // else a pull queue, or its last message ended meanwhile
			s.Hosts = append(s.Hosts, serverHost(h))
		}
	}
	for _, h := range a.accountHosts {
		s.Hosts = append(s.Hosts, h.host())
	}
	for _, q := range a.push {
		s.Queues = append(s.Queues, Queue{Name: q.Name, Kind: "queue", Paused: q.Paused, Parallelism: q.Parallelism, Waiting: q.Lag})
	}
	for _, q := range a.pull.Queues {
		s.Queues = append(s.Queues, q.queue(a.metrics.Queues[q.Name]))
	}
	return s
}

func serverHost(h *engine.HostState) Host {
	return Host{
		Name: h.Host, State: hostState(h), InFlight: h.InFlight, Waiting: max(h.Messages-h.InFlight, 0),
		Millis: h.Millis, Failures: h.Failures, Answered: h.Answered, Probe: h.Probe,
	}
}

func (h *accountHost) host() Host {
	out := Host{Name: h.Host, InFlight: h.InFlight, Waiting: max(h.Messages-h.InFlight, 0)}
	if h.HalfOpen {
		at := time.UnixMilli(h.NextProbe)
		out.State, out.Probe = halfOpen, &at
	}
	return out
}

func (q *pullQueue) queue(c pullCounts) Queue {
	kind := "pull"
	if q.Webhook != "" {
		kind = "webhook"
	}
	return Queue{
		Name: q.Name, Kind: kind, Paused: q.Paused, Parallelism: q.Parallel, Waiting: q.Pending, InFlight: q.InFlight, Delayed: q.Delayed,
		OldestAge: c.Oldest, Published: c.Published, Delivered: c.Delivered, Dead: c.Dead,
	}
}

// account makes rates of what was counted, nil without an answer. A point that the beginning cuts
// counts as a whole, and nothing is counted after the end, which is now.
func (s *accountStats) account() *Account {
	if s.To == 0 {
		return nil
	}
	step := max(s.StepSeconds, 1) * 1000
	seconds := float64(s.To-s.From/step*step) / 1000
	t := &s.Total
	return &Account{
		Published: t.Published / seconds, Delivered: t.Delivered / seconds, Retried: t.Retried / seconds,
		Failed: t.Failed / seconds, Canceled: t.Canceled / seconds,
		Backlog: s.Backlog, Latency: t.LatencyMillis, Lateness: t.LatenessMillis,
	}
}
