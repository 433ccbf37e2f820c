package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// arrivals is a pattern in which messages come: when the i-th one of them is due, ms
// from now, and in which of the lanes it is.
type arrivals struct {
	name  string
	n     int
	lanes int
	delay func(rng *rand.Rand, i int) int64
}

const year = 365 * 24 * time.Hour

// arrivalPatterns are those that T2 speaks of. The edge of the horizon is one
// millisecond wide: a message that is due there goes to the wheel, the next one to
// the index.
var arrivalPatterns = []arrivals{
	{"ascending", horizonMessages, 3, func(_ *rand.Rand, i int) int64 { return int64(i) * 331 }},
	{"descending", horizonMessages, 3, func(_ *rand.Rand, i int) int64 { return int64(horizonMessages-i) * 331 }},
	{"one millisecond, near", horizonMessages, 1, func(*rand.Rand, int) int64 { return 30_000 }},
	{"one millisecond, far", horizonMessages, 1, func(*rand.Rand, int) int64 { return 100_000 }},
	{"one millisecond, many lanes", horizonMessages, 40, func(*rand.Rand, int) int64 { return 61_000 }},
	{"many lanes by turns", horizonMessages, 200, func(_ *rand.Rand, i int) int64 { return 61_000 + int64(i%200)*17 }},
	{"at the edge of the horizon", horizonMessages, 2, func(rng *rand.Rand, _ int) int64 { return horizon - 1 + rng.Int64N(3) }},
	{"around the edge of the horizon", horizonMessages, 4, func(rng *rand.Rand, _ int) int64 { return horizon - 2000 + rng.Int64N(4000) }},
	{"in bursts", horizonMessages, 2, func(rng *rand.Rand, i int) int64 { return int64(i/50)*20_000 + rng.Int64N(2) }},
	{"now and far by turns", horizonMessages, 1, func(_ *rand.Rand, i int) int64 { return int64(i%2) * 70_000 }},
	{"up to a year", 40, 3, func(rng *rand.Rand, _ int) int64 { return rng.Int64N(year.Milliseconds() + 1) }},
	{"more than a lane may hold", laneResidentMax + 1500, 1, func(rng *rand.Rand, _ int) int64 { return 10_000 + rng.Int64N(40)*1000 }},
}

// TestHorizon is T2 as a property: whatever the pattern in which messages come, and
// however far the applier is behind, memory stays within its bound, no message is
// early, lost or attempted twice (S1 to S10), and with the applier at hand each one
// starts in the very millisecond in which it is due.
func TestHorizon(t *testing.T) {
	seed := randomSeed(t)
	t.Logf("TIDEMILL_SIM_SEED=%d", seed)
	for i, a := range arrivalPatterns {
		for _, resident := range []int{16, 100_000} {
			for _, lags := range []bool{false, true} {
				if a.n > resident*100 || a.n > 20*horizonMessages {
					continue
				}
				t.Run(fmt.Sprintf("%s, resident=%d, lags=%v", a.name, resident, lags), func(t *testing.T) {
					s := newSimClock(t, seed+uint64(i), resident)
					s.arrive(&a, lags)
					s.drain(lags)
					if s.late > 0 && !lags {
						s.fail("T2: late by up to %d ms, with the applier at hand", s.late)
					}
					s.finish()
				})
			}
		}
	}
}

// arrive publishes the messages in groups of a random size, while time goes by.
func (s *simClock) arrive(a *arrivals, lags bool) {
	for i := 0; i < a.n && s.failed == nil; {
		for n := 1 + s.rng.IntN(max(16, a.n/64)); n > 0 && i < a.n; n-- {
			d := time.Duration(a.delay(s.rng, i)) * time.Millisecond
			s.publish(&Publish{URL: fmt.Sprintf("http://h%d.example/", s.rng.IntN(a.lanes)), Delay: d}, 0)
			i++
		}
		s.commit()
		s.happen(lags)
		if s.rng.IntN(4) == 0 {
			s.now += min(s.rng.Int64N(3), s.e.sleepFor(false).Milliseconds())
			s.happen(lags)
		}
	}
}

// drain lets time go by, as long as the loop sleeps each time, until all is delivered.
// Stretches in which nothing is due are skipped, up to well before the next message.
func (s *simClock) drain(lags bool) {
	for s.failed == nil && len(s.waiting) > 0 {
		next := s.waiting[0].due
		for _, m := range s.waiting {
			next = min(next, m.due)
		}
		if skip := next - s.now - horizon - 5000; skip > 0 {
			s.now += skip
			s.happen(lags)
		}
		was := s.now
		s.nap()
		if s.now == was && !lags {
			s.fail("the loop would not sleep, and has nothing to do")
		}
		s.happen(lags)
	}
}

// happen lets all happen that may, or what a lagging applier allows.
func (s *simClock) happen(lags bool) {
	if !lags || s.rng.IntN(20) == 0 {
		s.settleNow()
		return
	}
	if s.rng.IntN(3) == 0 {
		s.apply()
	}
	s.commit()
	s.read()
	s.advance(0)
	for len(s.flights) > 0 {
		s.land()
	}
	s.advance(s.rng.Int64N(2))
}

// TestLanesWithoutRoomAreOnTime: of hundreds of lanes each holds some messages, and has
// left to the index others that are due before them. Each gets those back when they
// are due, though there is no room before and nothing else wakes the server.
func TestLanesWithoutRoomAreOnTime(t *testing.T) {
	const lanes = horizonMessages / 2
	seed := randomSeed(t)
	t.Logf("TIDEMILL_SIM_SEED=%d", seed)
	s := newSimClock(t, seed, 3*lanes)
	s.booksEvery = 5000 // they walk the index lane by lane
	s.arrive(&arrivals{"", 10 * lanes, lanes, func(rng *rand.Rand, _ int) int64 { return 20_000 + rng.Int64N(300)*100 }}, false)
	s.drain(false)
	if s.late > 0 {
		s.fail("T2: late by up to %d ms", s.late)
	}
	s.finish()
}
