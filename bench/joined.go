package bench

import "time"

// joinSides makes one side of several that each have had a round of the same. Percentiles
// are the medians of the rounds', since what they were taken of is gone.
func joinSides(all []Side) Side {
	out := all[0]
	for _, s := range all[1:] {
		out.Rounds = append(out.Rounds[:len(out.Rounds):len(out.Rounds)], s.Rounds...)
		out.Messages += s.Messages
		out.Failed += s.Failed
		out.Duplicates += s.Duplicates
		out.Written += s.Written
		out.Max = max(out.Max, s.Max)
		if s.Held != nil && out.Held != nil {
			most := out.Held.most(*s.Held)
			out.Held = &most
		}
		if s.Pace != nil && out.Pace != nil {
			pace := *out.Pace
			pace.add(*s.Pace)
			out.Pace = &pace
		}
	}
	middle := func(f func(Round) float64) time.Duration { return time.Duration(median(pick(out.Rounds, f))) }
	out.Rate = median(pick(out.Rounds, func(r Round) float64 { return r.Rate }))
	out.P50 = middle(func(r Round) float64 { return float64(r.P50) })
	out.P99 = middle(func(r Round) float64 { return float64(r.P99) })
	out.CPU = middle(func(r Round) float64 { return float64(r.CPU) })
	out.Harness = middle(func(r Round) float64 { return float64(r.Harness) })
	return out
}

// joinRounds joins what each round said of every side: rounds first, then sides.
func joinRounds(rounds [][]Side) []Side {
	out := make([]Side, len(rounds[0]))
	for i := range out {
		var same []Side
		for _, r := range rounds {
			same = append(same, r[i])
		}
		out[i] = joinSides(same)
	}
	return out
}
