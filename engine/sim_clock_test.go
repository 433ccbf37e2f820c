package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// simClock drives a simulation by the clock: it steps it, lets everything happen that
// may happen at that moment, and then checks that nothing that is due still waits.
// Lateness is so measured in virtual time alone; that no attempt starts early and
// none twice is S2's and S6's matter.
type simClock struct {
	*sim
	cfg     simConfig
	waiting []*simMessage
	last    uint64 // seq of the newest message
}

func newSimClock(t *testing.T, seed uint64, resident int) *simClock {
	cfg := simConfig{resident: resident}
	s := &simClock{sim: newSim(t, seed, cfg), cfg: cfg}
	s.booksEvery = 200 // the core steps many times for one step of the clock
	return s
}

// publish submits one message and leaves it in the open group.
func (s *simClock) publish(p *Publish, fails int) {
	p.User = 1
	m := &simMessage{
		created: s.now, due: s.now + p.Delay.Milliseconds(), body: p.Body, retries: p.Retries, behave: fails,
		starts: map[int]int{}, life: s.crashes,
	}
	s.submit(p, m)
	if m.id == "" {
		s.fail("publish after %v is refused", p.Delay)
		return
	}
	seq := uint64(m.sub.ticket.LSN)
	if seq <= s.last {
		s.fail("P26: message %d follows %d", seq, s.last)
	}
	s.last = seq
	s.waiting = append(s.waiting, m)
}

// nap lets time pass as long as the loop would sleep now (P25): at most a second,
// whatever the clock does meanwhile.
func (s *simClock) nap() {
	d := s.e.sleepFor(false)
	if d < 0 || d > time.Second {
		s.fail("P25: the loop would sleep %v", d)
	}
	s.now += d.Milliseconds()
}

// settleNow lets everything happen that may happen without time going on.
func (s *simClock) settleNow() {
	for i := 0; s.failed == nil; i++ {
		s.commit()
		s.applyAll()
		s.read()
		s.advance(0)
		for len(s.flights) > 0 {
			s.land()
		}
		if s.quiet() {
			s.checkOverdue()
			return
		}
		if i == 100_000 {
			s.fail("does not come to rest")
		}
	}
}

func (s *simClock) quiet() bool {
	return len(s.e.inbox.events)+len(s.pages)+len(s.latePages)+len(s.rows)+len(s.lateRows)+len(s.flights) == 0 && s.e.core.undurable == 0
}

// checkOverdue: with everybody idle, no message waits that the clock says is due. A
// retry's time is its delay after the attempt and the rest of a millisecond; a host that
// keeps failing may have to be waited for, until a probe is answered.
func (s *simClock) checkOverdue() {
	kept := s.waiting[:0]
	for _, m := range s.waiting {
		if m.ended || m.canceled || m.starts[m.retries+1] > 0 {
			continue
		}
		if due := max(m.due, m.retryAt+1); due <= s.now && !s.probed(m) {
			s.fail("P25: %s waits at %d with nothing to wait for, due at %d", m.id, s.now, due)
		}
		kept = append(kept, m)
	}
	s.waiting = kept
}

// probed says whether a message waits for a host that is half-open.
func (s *simClock) probed(m *simMessage) bool {
	c := s.e.core
	row, found, err := s.e.idx.Row(uint64(m.sub.ticket.LSN))
	if err != nil {
		s.fail("row of %s: %v", m.id, err)
	}
	i, ok := c.byHost[row.Host]
	return found && ok && c.hosts[i].failures >= failuresToHalfOpen
}

// cutPower crashes the server. What it did not log it does not know, so the times of
// retries are those that it finds.
func (s *simClock) cutPower() {
	s.crash(s.cfg)
	if s.failed != nil {
		return
	}
	kept := s.waiting[:0]
	for _, m := range s.waiting {
		seq := uint64(m.sub.ticket.LSN)
		r, found, err := s.e.idx.Row(seq)
		if err != nil {
			s.fail("row of %s: %v", m.id, err)
		}
		if !found || r.Nonce != m.sub.nonce {
			continue // ended, or never acked: S1 is checked at the end
		}
		if r.Tries > 0 {
			m.due, m.retryAt = r.Due, 0
		}
		kept = append(kept, m)
	}
	s.waiting, s.last = kept, 0
	for _, m := range s.messages {
		if m.acked {
			s.last = max(s.last, uint64(m.sub.ticket.LSN))
		}
	}
}

// finish runs to the end of all messages and checks what came of them.
func (s *simClock) finish() {
	for i := 0; s.failed == nil && (len(s.waiting) > 0 || !s.idle()); i++ {
		s.now += (12 * time.Hour).Milliseconds()
		s.settleNow()
		if i == 10_000 {
			s.fail("S1: %d messages left after %d days", len(s.waiting), i/2)
		}
	}
	s.checkEnds()
	s.abandon()
	s.healthy()
}

// clockSteps are the steps that wall clocks make.
var clockSteps = []time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}

// randomStep returns a step of the clock: one of those that clocks make, or any.
func randomStep(rng *rand.Rand) int64 {
	d := clockSteps[rng.IntN(len(clockSteps))].Milliseconds()
	if rng.IntN(2) == 0 {
		d = rng.Int64N(d + 1)
	}
	if rng.IntN(2) == 0 {
		return -d
	}
	return d
}

// randomDelay returns none, or up to a second, a minute, ..., three days.
func randomDelay(rng *rand.Rand) time.Duration {
	limit := []time.Duration{0, time.Second, time.Minute, 2 * time.Minute, time.Hour, 72 * time.Hour}[rng.IntN(6)]
	return time.Duration(rng.Int64N(limit.Milliseconds()+1)) * time.Millisecond
}

// randomSeed is where a randomized test starts; TIDEMILL_SIM_SEED names one.
func randomSeed(t *testing.T) uint64 {
	v := os.Getenv("TIDEMILL_SIM_SEED")
	if v == "" {
		return rand.Uint64N(1 << 32)
	}
	seed, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// TestRandomClockSteps is P25 and P26: the clock steps forward and back at any moment
// of a message's life, in the middle of a page, with the applier behind, attempts in
// flight, before and after a power cut. Memory holds a part of the messages.
func TestRandomClockSteps(t *testing.T) {
	seed := randomSeed(t)
	t.Logf("TIDEMILL_SIM_SEED=%d", seed)
	for _, resident := range []int{8, 1000} {
		s := newSimClock(t, seed, resident)
		for i := 0; i < clockStepsTried/2 && s.failed == nil; i++ {
			s.live()
			s.nap()
			s.now += randomStep(s.rng)
			if s.rng.IntN(500) == 0 {
				s.cutPower()
			}
			if s.rng.IntN(3) > 0 {
				s.settleNow()
			}
		}
		t.Logf("%d messages, %d attempts, %d power cuts", s.published, s.attempts, s.crashes)
		s.finish()
	}
}

// live does a few of the things that make up a server's life.
func (s *simClock) live() {
	for range s.rng.IntN(3) {
		s.publish(&Publish{
			URL: fmt.Sprintf("http://h%d.example/", s.rng.IntN(5)), Delay: randomDelay(s.rng), Retries: s.rng.IntN(3),
		}, max(0, s.rng.IntN(6)-3))
	}
	for range s.rng.IntN(4) {
		switch s.rng.IntN(4) {
		case 0:
			s.commit()
		case 1:
			s.apply()
		case 2:
			s.advance(0)
		default:
			s.read()
		}
	}
	if len(s.flights) > 0 && s.rng.IntN(4) == 0 {
		s.land()
		s.advance(0) // the clock at the decision is what a retry's delay is counted from
	}
}
