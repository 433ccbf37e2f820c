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
	Missed    int           `json:"missed"`       // rounds in which it was not kept
	Drowsy    int           `json:"drowsy"`       // rounds in which the harness was late for a good part of p99
}

// void says that latencies are not the server's, and are left out.
func (p *Pace) void() bool { return p.Missed > 0 || p.Drowsy > 0 }

const (
	// paceSlack is which part of its messages a round may lack: beside what is under way
	// when it ends, which paceEdge allows for.
	paceSlack = 0.01
	paceEdge  = 20 * time.Millisecond
)

// pace ends the pacer and judges a round that was measured for elapsed. p99 is that of its
// latencies, if these count from the moments; else 0. They are void if fewer messages were
// sent than were to be, or if the pacer itself was late for half of p99: that would be the
// harness's latency and not the server's.
func (p *pacer) pace(elapsed, p99 time.Duration) Pace {
	p.close()
	r := Pace{
		Rate: p.perSecond, Sent: float64(p.sent) / elapsed.Seconds(),
		Behind: p.behind, Overslept: quantile(p.overslept, 99),
	}
	want := float64(p.perSecond) * ((1-paceSlack)*elapsed.Seconds() - paceEdge.Seconds())
	if float64(p.sent+1) < want {
		r.Missed = 1
	}
	if p99 > 0 && r.Overslept > p99/2 {
		r.Drowsy = 1
	}
	return r
}

// add takes another round's pace in.
func (p *Pace) add(q Pace) {
	p.Sent = min(p.Sent, q.Sent)
	p.Behind, p.Overslept = max(p.Behind, q.Behind), max(p.Overslept, q.Overslept)
	p.Missed += q.Missed
	p.Drowsy += q.Drowsy
}

// beside takes in what matters of a load beside this one, in the same round: whether it was
// what it was to be.
func (p *Pace) beside(q Pace) { p.Missed |= q.Missed }

func (p *Pace) write(w io.Writer, name string, rounds int) {
	fmt.Fprintf(w, "  %s: sent %.1f/s of %d/s, at most %s late, of which the harness overslept %s (p99)\n",
		name, p.Sent, p.Rate, millis(p.Behind), millis(p.Overslept))
	if p.Missed > 0 {
		fmt.Fprintf(w, "  %s: THE RATE WAS NOT KEPT in %d of %d rounds, and their latencies are left out\n", name, p.Missed, rounds)
	}
	if p.Drowsy > 0 {
		fmt.Fprintf(w, "  %s: THE HARNESS WAS LATE for half of p99 in %d of %d rounds, and their latencies, which are not the server's, are left out\n",
			name, p.Drowsy, rounds)
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

// latencyFigures are p50, p99 and max of the rounds in which they are known, in
// milliseconds. What they are is said by a format for these words.
func latencyFigures(format string, rounds []Round) (out []Figure) {
	for _, q := range []struct {
		name  string
		value func(Round) time.Duration
	}{{"p50", p50}, {"p99", p99}, {"max", top}} {
		f := Figure{Name: fmt.Sprintf(format, q.name), Unit: "ms"}
		for _, r := range rounds {
			if v := q.value(r); v > 0 {
				f.Values = append(f.Values, float64(v)/float64(time.Millisecond))
			}
		}
		if len(f.Values) > 0 {
			out = append(out, f)
		}
	}
	return out
}

func p50(r Round) time.Duration { return r.P50 }
func p99(r Round) time.Duration { return r.P99 }
func top(r Round) time.Duration { return r.Max }
