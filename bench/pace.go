package bench

import (
	"fmt"
	"io"
	"time"
)

// Pace is how far the producers of an open loop kept their rate, over all rounds of a side.
type Pace struct {
	Rate      int           `json:"rate"`         // messages a second that they were to send
	Sent      float64       `json:"sent"`         // that they sent, in the round with the fewest
	Behind    time.Duration `json:"behind_ns"`    // how long after its moment one left at most; part of the latencies
	Overslept time.Duration `json:"overslept_ns"` // p99 of the part of that which is the harness's own
	Missed    int           `json:"missed"`       // rounds whose latencies are left out: they are not the server's
}

const (
	// paceSlack is which part of its messages a round may lack: beside what is under way
	// when it ends, which paceEdge allows for.
	paceSlack = 0.01
	paceEdge  = 20 * time.Millisecond
)

// pace ends the pacer and judges a round that was measured for elapsed. p99 is that of its
// latencies, if these count from the moments; else 0. The rate was missed if fewer messages
// were sent than were to be, or if the pacer itself was late for a good part of p99: that
// would be the harness's latency and not the server's.
func (p *pacer) pace(elapsed, p99 time.Duration) Pace {
	p.close()
	r := Pace{
		Rate: p.perSecond, Sent: float64(p.sent) / elapsed.Seconds(),
		Behind: p.behind, Overslept: quantile(p.overslept, 99),
	}
	want := float64(p.perSecond) * ((1-paceSlack)*elapsed.Seconds() - paceEdge.Seconds())
	if float64(p.sent+1) < want || p99 > 0 && r.Overslept > p99/2 {
		r.Missed = 1
	}
	return r
}

// add takes another round's pace in.
func (p *Pace) add(q Pace) {
	p.Sent = min(p.Sent, q.Sent)
	p.Behind, p.Overslept = max(p.Behind, q.Behind), max(p.Overslept, q.Overslept)
	p.Missed += q.Missed
}

func (p *Pace) write(w io.Writer, name string, rounds int) {
	fmt.Fprintf(w, "  %s: sent %.1f/s of %d/s, at most %s late, of which the harness overslept %s (p99)\n",
		name, p.Sent, p.Rate, millis(p.Behind), millis(p.Overslept))
	if p.Missed > 0 {
		fmt.Fprintf(w, "  %s: THE RATE WAS NOT KEPT in %d of %d rounds: their latencies say nothing of the server and are left out\n",
			name, p.Missed, rounds)
	}
}

// latencies compares a percentile of two sides, in the rounds in which both are known. ok
// is false if there is none.
func latencies(what string, of, over *Side, value func(Round) time.Duration) (r Ratio, ok bool) {
	a, b := *of, *over
	a.Rounds, b.Rounds = nil, nil
	for i := range of.Rounds {
		if value(of.Rounds[i]) > 0 && value(over.Rounds[i]) > 0 {
			a.Rounds, b.Rounds = append(a.Rounds, of.Rounds[i]), append(b.Rounds, over.Rounds[i])
		}
	}
	if len(a.Rounds) == 0 {
		return Ratio{}, false
	}
	return ratio(what, &a, &b, func(r Round) float64 { return float64(value(r)) }), true
}

// figure makes a Figure of the rounds in which the latency is known, in milliseconds.
func latencyFigure(name string, rounds []Round, value func(Round) time.Duration) (f Figure, ok bool) {
	f = Figure{Name: name, Unit: "ms"}
	for _, r := range rounds {
		if v := value(r); v > 0 {
			f.Values = append(f.Values, float64(v)/float64(time.Millisecond))
		}
	}
	return f, len(f.Values) > 0
}

func p50(r Round) time.Duration { return r.P50 }
func p99(r Round) time.Duration { return r.P99 }
func top(r Round) time.Duration { return r.Max }
