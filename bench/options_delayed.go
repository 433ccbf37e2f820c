package bench

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// DelayedOptions are the options of Delayed. Of Common, Concurrency's first number
// is the producers of each rate (default 32), a round lasts 15 s by default and there is
// one; WarmUp is not used.
type DelayedOptions struct {
	Common

	// Rates are how many messages a second fall due, in one round after the other.
	// Default: 100 and 2000.
	Rates []int

	// Delay is how long before its due time a message is published, at least.
	// Default: 2s.
	Delay time.Duration

	// Spread is how much longer it may be: each message draws its own, so that they
	// do not fall due in the order in which they came. Default: 3s.
	Spread time.Duration

	// Background is how many messages a second are published beside them and due at
	// once, to the same hosts. They are not measured. Default: none.
	Background Rate

	// Hosts is as in DeliverOptions. Default: 32.
	Hosts int

	// Record is as in QueuesOptions. Messages of Background are not recorded.
	Record io.Writer

	// DrainTimeout is as in DeliverOptions; it begins when the last message of a
	// round is due. Default: 30s.
	DrainTimeout time.Duration
}

func (o DelayedOptions) withDefaults() DelayedOptions {
	orDefault(&o.Rounds, 1)
	orDefault(&o.Round, 15*time.Second)
	orDefault(&o.Delay, 2*time.Second)
	orDefault(&o.Spread, 3*time.Second)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 30*time.Second)
	if len(o.Rates) == 0 {
		o.Rates = []int{100, 2000}
	}
	o.Common.withDefaults(32)
	// Not before all delays are past do as many fall due as are published, but for
	// those at the turn of the next second.
	o.WarmUp = o.Delay + o.Spread + time.Second
	o.DrainTimeout += o.WarmUp
	return o
}

func (o DelayedOptions) validate() error {
	for _, r := range o.Rates {
		if r < 1 || r > rateMax {
			return fmt.Errorf("rate %d: want 1 to %d a second", r, rateMax)
		}
	}
	switch {
	case o.Delay < time.Millisecond || o.Spread < 0:
		return fmt.Errorf("delay %v, spread %v: want a delay of at least 1ms and no negative spread", o.Delay, o.Spread)
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	}
	return errors.Join(o.Background.validate(), o.Common.validate())
}
