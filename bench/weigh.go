package bench

import "time"

// figures are what a level's backlog takes, in all and for each message beyond those of
// the smallest level.
func (l *level) figures(smallest *level) []Figure {
	var all []Figure
	one := func(what, unit string, v float64) {
		all = append(all, Figure{Name: l.name + ": " + what, Unit: unit, Values: []float64{v}})
	}
	if l.known {
		one("resident memory", "B", float64(l.memory.resident))
		one("heap in it (RssAnon)", "B", float64(l.memory.heap))
		one("pending messages per GiB of resident memory", "", float64(l.pending)*(1<<30)/float64(l.memory.resident))
	}
	if more := float64(l.pending - smallest.pending); more > 0 && l.known && smallest.known {
		one("resident memory for each message more than the fewest", "B", float64(l.memory.resident-smallest.memory.resident)/more)
	}
	if l.disk > l.empty {
		one("disk used beside that of the empty server, over bodies", "", float64(l.disk-l.empty)/float64(l.pending*l.bodies.size()))
	}
	return all
}

// ratios compare CPU time with the smallest level, of publishes and of deliveries.
func (l *level) ratios(smallest *level, of, over *Side) []Ratio {
	out := []Ratio{ratio("CPU per publish", of, over, func(r Round) float64 { return float64(r.CPU) })}
	n := min(len(l.cpu), len(smallest.cpu))
	a, b := Side{Name: of.Name, Rounds: delveRounds(l.cpu[:n])}, Side{Name: over.Name, Rounds: delveRounds(smallest.cpu[:n])}
	if n > 0 {
		out = append(out, ratio("CPU per delivery", &a, &b, func(r Round) float64 { return float64(r.CPU) }))
	}
	return out
}

func delveRounds(all []delve) []Round {
	out := make([]Round, len(all))
	for i, d := range all {
		out[i] = Round{CPU: max(d.cpu/time.Duration(d.messages), 1), Messages: d.messages}
	}
	return out
}
