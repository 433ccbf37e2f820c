package httpapi

import (
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/wal/histogram"
)

// Family is what a request is about, by the beginning of its path: for metrics, which must
// not have a series for every path that somebody thinks of.
type Family uint8

// The families of requests.
const (
	FamilyOther Family = iota // no route of the API, or a head that cannot be read
	FamilyPublish
	FamilyBatch
	FamilyMessages
	FamilyDead
	FamilyQueues
	FamilySchedules
	FamilyGroups
	FamilyFlow
	FamilyEvents
	FamilyAccounts
	FamilyStats
	FamilyPull // pull queues, and what /v1 calls messages
	FamilyV1   // the rest of /v1
	FamilyHealth

	familyCount
)

var families = [familyCount]string{
	"other", "publish", "batch", "messages", "dlq", "queues", "schedules", "groups", "flowcontrol", "events", "accounts", "stats", "pull", "v1", "health",
}

// String returns the family as one lower-case word, for metrics.
func (f Family) String() string { return families[f] }

// Families are all of them.
func Families() []Family {
	out := make([]Family, familyCount)
	for i := range out {
		out[i] = Family(i)
	}
	return out
}

// familyOf returns the family of a path, whether or not there is such a route.
func familyOf(path []byte) Family {
	first, rest := cutSegment(path)
	second, _ := cutSegment(rest)
	var low [24]byte
	name := string(lowered(low[:0], second))
	switch {
	case equalFold(first, "healthz"):
		return FamilyHealth
	case equalFold(first, "v1"):
		return familyV1(name)
	case equalFold(first, "v2"):
		return familyV2(name)
	}
	return FamilyOther
}

func familyV1(name string) Family {
	switch name {
	case "publish":
		return FamilyPublish
	case "metrics", "queues", "messages":
		return FamilyPull
	}
	return FamilyV1
}

func familyV2(name string) Family {
	switch name {
	case "publish", "enqueue":
		return FamilyPublish
	case "batch":
		return FamilyBatch
	case "messages":
		return FamilyMessages
	case "dlq":
		return FamilyDead
	case "queues":
		return FamilyQueues
	case "schedules":
		return FamilySchedules
	case "topics":
		return FamilyGroups
	case "flowcontrol", "globalparallelism":
		return FamilyFlow
	case "events", "logs", "replay":
		return FamilyEvents
	case "users", "tokens", "keys", "rotate":
		return FamilyAccounts
	case "stats", "hosts":
		return FamilyStats
	case "readiness":
		return FamilyHealth
	}
	return FamilyOther
}

// counters is what a server counts for operators.
type counters struct {
	answers         [familyCount][6]atomic.Uint64 // by the first digit of the status
	unauthenticated atomic.Uint64
	refused         atomic.Uint64 // connections over a limit
	panics          atomic.Uint64

	receive, handle, answer histogram.Durations
}

// timing takes the times of a publish: one in timedEach of a connection, the first among
// them, since a look at the clock costs as much as three counts.
type timing struct {
	on      bool
	handled bool      // the handler of a publish was called
	at      time.Time // when the stage began
}

const timedEach = 8

// begin begins the stages of a request if it is one to be timed.
func (t *timing) begin(c *conn) {
	t.on = c.requests%timedEach == 0
	c.requests++
	if t.on {
		t.at = time.Now()
	}
}

// end ends a stage, and begins the next one.
func (t *timing) end(h *histogram.Durations) { t.at = h.Since(t.at) }

// answered counts an answer that is about to be sent: who has it, finds it counted.
func (x *exchange) answered() {
	status := x.status
	if status == 0 { // Fallback's
		status = x.ctx.Response.StatusCode()
	}
	if digit := status / 100; digit >= 1 && digit <= 5 {
		x.srv.counters.answers[x.family][digit].Add(1)
	}
}

// Stats are a server's counters since New and its gauges now.
type Stats struct {
	Answers         [familyCount][6]uint64 // by Family and the first digit of the status
	Unauthenticated uint64                 // requests without a good token
	Refused         uint64                 // connections over a limit
	Panics          uint64                 // recovered (P50); anything but 0 is a bug

	Conns, ConnsMax         int
	Active                  int // connections with a request under way
	BodyBytes, BodyBytesMax int64
	Waiting, Streams        int // receives that wait for a message, and streams of events

	// Of one publish in eight: until all of it was read, until the engine has stored or
	// refused it, and until the answer was written.
	Receive, Handle, Answer histogram.Snapshot
}

// Stats returns a snapshot; its numbers are each exact but not of one moment. It looks at
// all connections.
func (s *Server) Stats() Stats {
	c := &s.counters
	out := Stats{
		Unauthenticated: c.unauthenticated.Load(), Refused: c.refused.Load(), Panics: c.panics.Load(),
		ConnsMax: s.opt.Concurrency, BodyBytes: s.inflight.used.Load(), BodyBytesMax: s.inflight.most.Load(),
		Waiting: s.waiting.size(), Streams: s.streams.size(),
		Receive: c.receive.Snapshot(), Handle: c.handle.Snapshot(), Answer: c.answer.Snapshot(),
	}
	for f := range out.Answers {
		for digit := range out.Answers[f] {
			out.Answers[f][digit] = c.answers[f][digit].Load()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Conns = len(s.mu.conns)
	for conn := range s.mu.conns {
		if conn.state.Load() == connActive {
			out.Active++
		}
	}
	return out
}

func (w *waiters) size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}
