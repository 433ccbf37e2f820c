package bench

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// FlowOptions are the options of Flow. Of Common, Concurrency's first number is the
// producers (default 32), a round lasts 5s by default after a warm-up of 1s, and there are 3.
type FlowOptions struct {
	Common

	// Keys is how many flow-control keys there are. Default: 20.
	Keys int

	// Rate is how many attempts of a key may begin in each Period. Default: 50 and 1s, the
	// shortest period that the contract has.
	Rate   int
	Period time.Duration

	// Parallelism is how many may be under way at one time. Default: 10.
	Parallelism int

	// Sliding asks for windows that slide (Tidemill-Flow-Control-Mode). Default: fixed ones,
	// which are the contract's.
	Sliding bool

	// Answer is how long the receiver takes for each attempt, so that several are under way
	// at one time. Default: 20ms; with the other defaults a key could make 500 attempts a
	// second, so that its rate is what holds it back.
	Answer time.Duration

	// Tolerance is as in VerifyOptions.
	Tolerance time.Duration

	// Hosts is as in DeliverOptions; the messages of a key go to all of them. Default: 32.
	Hosts int

	// DrainTimeout is as in DeliverOptions; the keys' backlog takes three periods of it.
	DrainTimeout time.Duration

	// Record is as in QueuesOptions.
	Record io.Writer
}

// flowBacklog is how many periods' attempts wait at each key.
const flowBacklog = 3

func (o FlowOptions) withDefaults() FlowOptions {
	orDefault(&o.Rounds, 3)
	orDefault(&o.Round, 5*time.Second)
	orDefault(&o.WarmUp, time.Second)
	orDefault(&o.Keys, 20)
	orDefault(&o.Rate, 50)
	orDefault(&o.Period, time.Second)
	orDefault(&o.Parallelism, 10)
	orDefault(&o.Answer, 20*time.Millisecond)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 30*time.Second)
	o.DrainTimeout += (flowBacklog + 1) * o.Period
	o.Common.withDefaults(min(32, max(o.Keys, 1)))
	return o
}

func (o FlowOptions) validate() error {
	switch {
	case o.Keys < 1 || o.Keys > queuesMax:
		return fmt.Errorf("%d keys: want 1 to %d", o.Keys, queuesMax)
	case o.Rate < 1 || o.Rate > 100_000:
		return fmt.Errorf("rate %d: want 1 to 100000 in a period", o.Rate)
	case o.Period < 10*time.Millisecond || o.Period > time.Hour:
		return fmt.Errorf("period %v: want 10ms to an hour", o.Period)
	case o.Parallelism < 1 || o.Parallelism > 10_000:
		return fmt.Errorf("a parallelism of %d: want 1 to 10000", o.Parallelism)
	case o.Concurrency[0] > o.Keys:
		return fmt.Errorf("%d producers of %d keys: want one for each key at most", o.Concurrency[0], o.Keys)
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.Answer < 0 || o.Tolerance < 0 || o.DrainTimeout < 0:
		return errors.New("answer, tolerance and drain timeout must not be negative")
	}
	return o.Common.validate()
}

// perSecond is what all keys together allow.
func (o *FlowOptions) perSecond() int {
	return max(1, int(float64(o.Keys*o.Rate)/o.Period.Seconds()))
}

func (o *FlowOptions) delivery() *DeliverOptions {
	return &DeliverOptions{Common: o.Common, Hosts: o.Hosts, Backlog: o.perSecond() + 1, DrainTimeout: o.DrainTimeout}
}
