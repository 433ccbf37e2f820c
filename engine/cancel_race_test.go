package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestCancelRaces is P24: 10,000 messages fall due at the moment when they are canceled,
// and now and then the power is cut. Of one whose cancel was answered no attempt starts
// afterwards, in no life of the engine (S4), and it has one end.
func TestCancelRaces(t *testing.T) {
	const seeds, races = cancelRaceSeeds, 500
	var canceled, late, crashes int
	for seed := range uint64(seeds) {
		cfg := simConfigOf(seed)
		s := newSim(t, 1000+seed, cfg)
		for n := 0; n < races && s.failed == nil; n += 10 {
			s.raceCancels(cfg, 10)
		}
		if s.failed == nil {
			s.settleAll()
		}
		s.abandon()
		s.healthy()
		for _, m := range s.messages {
			if m.canceled {
				canceled++
			} else {
				late++
			}
		}
		crashes += s.crashes
	}
	t.Logf("%d cancels were in time, %d were not; %d power cuts", canceled, late, crashes)
	if canceled+late < seeds*races || min(canceled, late) < seeds*races/5 || crashes < seeds {
		t.Error("these are no races")
	}
}

// raceCancels publishes n messages that are due within a few steps, and cancels each at
// one of them, while attempts end, groups are committed and applied, and power is cut.
func (s *sim) raceCancels(cfg simConfig, n int) {
	ms := make([]*simMessage, n)
	for i := range ms {
		ms[i] = s.delayed(fmt.Sprintf("http://h%d.example/%d", s.rng.IntN(4), i), time.Duration(s.rng.IntN(40))*time.Millisecond)
	}
	for len(ms) > 0 && s.failed == nil {
		switch k := s.rng.IntN(100); {
		case k < 20:
			i := s.rng.IntN(len(ms))
			s.cancelOne(ms[i])
			ms = slices.Delete(ms, i, i+1)
		case k < 45:
			s.advance(s.rng.Int64N(8))
		case k < 65:
			s.land()
		case k < 80:
			s.commit()
		case k < 90:
			s.apply()
		case k < 98:
			s.read()
		case s.rng.IntN(20) == 0:
			s.crash(cfg)
		}
	}
}
