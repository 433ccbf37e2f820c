package engine

// The configuration is reloaded in a simulation, too:
//
//	S24 from the step on that takes other limits no attempt starts beside as many as
//	    delivery.parallelism allows, nor beside as many to its host as
//	    delivery.host-parallelism does. What is under way ends by itself.
//
// That those who waited get what a higher limit leaves is S10's business: whoever waits
// for a permit has somebody to wake it.

// changeLimits reloads the configuration with other limits.
func (s *sim) changeLimits() {
	l := s.e.Limits()
	l.Parallelism, l.HostParallelism = 1+s.rng.IntN(30), 1+s.rng.IntN(8)
	if s.rng.IntN(4) == 0 {
		l.Parallelism = 20
	}
	err := s.e.setLimits(&l, func(*core) {})
	if err != nil {
		s.fail("limits: %v", err)
	}
	s.note("limits", uint64(l.Parallelism)<<32|uint64(l.HostParallelism))
}

// seeLimits notes the limits that a step takes.
func (s *sim) seeLimits(events []event) {
	for i := range events {
		if l := events[i].limits; l != nil {
			s.limits = *l
		}
	}
}

// checkStarts is S24. s.flights holds what is under way, what has just started included.
func (s *sim) checkStarts(started []startCommand) {
	if len(started) == 0 {
		return
	}
	if n := len(s.flights); n > s.limits.Parallelism {
		s.fail("S24: %d attempts are under way after %d started, delivery.parallelism is %d", n, len(started), s.limits.Parallelism)
	}
	hosts := map[uint64]int{}
	for i := range s.flights {
		hosts[s.flights[i].row.Host]++
	}
	for i := range started {
		r := &started[i].row
		if n := hosts[r.Host]; n > s.limits.HostParallelism && r.Pull.Published == 0 { // a webhook of a pull queue has a limit of its own
			s.fail("S24: %d attempts are under way at host %x, where one starts, delivery.host-parallelism is %d", n, r.Host, s.limits.HostParallelism)
		}
	}
}
