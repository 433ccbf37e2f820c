package sink

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/receive"
)

// counters are what the sink counts. They are safe for concurrent use.
type counters struct {
	began      time.Time
	received   atomic.Int64
	bytes      atomic.Int64
	byOutcome  [outcomes]atomic.Int64
	retries    atomic.Int64
	duplicates atomic.Int64
	verified   atomic.Int64
	bad        atomic.Int64
	unsigned   atomic.Int64
	broken     atomic.Int64
	notPrinted atomic.Int64
}

// stats is how the counters are told: at /stats and in the summary.
type stats struct {
	Type    string           `json:"type,omitempty"` // "summary"
	Seconds float64          `json:"seconds"`
	Receive int64            `json:"received"`
	Bytes   int64            `json:"bytes"`
	Outcome map[string]int64 `json:"by_outcome"`
	// Retries are attempts after a message's first. Duplicates are those of a message that this sink
	// had answered with 2xx before: what at-least-once delivery may cost.
	Retries    int64       `json:"retries"`
	Duplicates int64       `json:"duplicates"`
	Signature  *signatures `json:"signatures,omitempty"` // with --verify
	Broken     int64       `json:"broken"`               // no request, too large, or cut off
	NotPrinted int64       `json:"not_printed"`
}

type signatures struct {
	Verified int64 `json:"verified"`
	Bad      int64 `json:"bad"`
	Missing  int64 `json:"missing"`
}

// snapshot reads the counters one by one: they need not go together while requests arrive.
func (c *counters) snapshot(verify bool) stats {
	s := stats{
		Seconds: time.Since(c.began).Seconds(),
		Receive: c.received.Load(), Bytes: c.bytes.Load(),
		Outcome: make(map[string]int64, outcomes),
		Retries: c.retries.Load(), Duplicates: c.duplicates.Load(),
		Broken: c.broken.Load(), NotPrinted: c.notPrinted.Load(),
	}
	for o := range outcomes {
		s.Outcome[o.String()] = c.byOutcome[o].Load()
	}
	if verify {
		s.Signature = &signatures{c.verified.Load(), c.bad.Load(), c.unsigned.Load()}
	}
	return s
}

func (c *counters) verdict(err error) {
	switch err {
	case nil:
		c.verified.Add(1)
	case receive.ErrNotSigned:
		c.unsigned.Add(1)
	default:
		c.bad.Add(1)
	}
}

// text is the summary for people.
func (s *stats) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Received %d requests with %d bytes in %.1f s:", s.Receive, s.Bytes, s.Seconds)
	for _, name := range outcomeNames {
		if n := s.Outcome[name]; n > 0 || name == ok.String() {
			fmt.Fprintf(&b, " %d %s,", n, name)
		}
	}
	fmt.Fprintf(&b, " %d retries, %d duplicates", s.Retries, s.Duplicates)
	if s.Broken > 0 {
		fmt.Fprintf(&b, ", %d broken", s.Broken)
	}
	if g := s.Signature; g != nil {
		fmt.Fprintf(&b, "; signatures: %d verified, %d bad, %d missing", g.Verified, g.Bad, g.Missing)
	}
	b.WriteByte('\n')
	return b.String()
}
