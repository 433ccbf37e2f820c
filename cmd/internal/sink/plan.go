package sink

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
)

// outcome is what becomes of a request.
type outcome int

const (
	ok      outcome = iota
	failed          // answered with plan.status
	hung            // accepted and never answered
	reset           // its connection was reset
	refused         // its signature was bad: 401
	outcomes
)

var outcomeNames = [outcomes]string{"ok", "failed", "hung", "reset", "refused"}

func (o outcome) String() string { return outcomeNames[o] }

// plan says what becomes of requests. It is a pure function of a message's id and of how often it was
// tried, so that one seed gives each attempt the same lot in whatever order, at whatever rate and
// over however many connections the attempts come.
type plan struct {
	seed      uint64
	hang      share
	reset     share
	fail      share
	failFirst int // so many attempts of each message fail
	slow      time.Duration
	slowShare share
}

// lot is what one attempt gets.
type lot struct {
	outcome outcome
	wait    time.Duration // before the answer
}

// draw returns the lot of an attempt, the first being retried 0. The shares of the outcomes stand side
// by side on one axis; slowness is a draw of its own, and only for what is answered.
func (p *plan) draw(id string, retried int) lot {
	var l lot
	u := p.axis("outcome", id, retried)
	switch {
	case retried < p.failFirst:
		l.outcome = failed
	case u < float64(p.hang):
		return lot{outcome: hung}
	case u < float64(p.hang+p.reset):
		return lot{outcome: reset}
	case u < float64(p.hang+p.reset+p.fail):
		l.outcome = failed
	}
	if p.slow > 0 && p.axis("slow", id, retried) < float64(p.slowShare) {
		l.wait = p.slow
	}
	return l
}

// axis maps an attempt to [0, 1), evenly over attempts.
func (p *plan) axis(what, id string, retried int) float64 {
	b := make([]byte, 0, 160)
	b = binary.LittleEndian.AppendUint64(b, p.seed)
	b = append(append(b, what...), 0)
	b = append(append(b, id...), 0)
	b = strconv.AppendInt(b, int64(retried), 10)
	return float64(xxhash.Sum64(b)>>11) / (1 << 53)
}

// tries reads Upstash-Retried; what is no number counts as the first attempt.
func tries(retried string) int {
	n, err := strconv.ParseUint(retried, 10, 31)
	if err != nil || n > math.MaxInt32 {
		return 0
	}
	return int(n)
}
