package bench

import (
	"fmt"
	"time"
)

// SoakOptions are the options of Soak. Of Common, Concurrency's first number is the
// producers (default 16), a round lasts 30s by default and there is one; WarmUp is a second.
type SoakOptions struct {
	Common

	// Rate is how many messages a second are published, of all kinds together. A member of
	// a URL group and a callback count besides. Default: 500.
	Rate int

	// Delay is that of delayed messages. Default: 2s.
	Delay time.Duration

	// Samples is how often in a round it is looked what the server holds. Default: 30.
	Samples int

	// Hosts is as in DeliverOptions, 4 at least. Default: 32.
	Hosts int

	// DrainTimeout is as in DeliverOptions. Default: 1m.
	DrainTimeout time.Duration
}

func (o SoakOptions) withDefaults() SoakOptions {
	orDefault(&o.Rounds, 1)
	orDefault(&o.Round, 30*time.Second)
	orDefault(&o.WarmUp, min(o.Round, time.Second))
	orDefault(&o.Rate, 500)
	orDefault(&o.Delay, 2*time.Second)
	orDefault(&o.Samples, 30)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, time.Minute)
	o.Common.withDefaults(16)
	return o
}

func (o SoakOptions) validate() error {
	switch {
	case o.Rate < 1 || o.Rate > 100_000:
		return fmt.Errorf("rate %d: want 1 to 100000 a second", o.Rate)
	case o.Samples < 2 || o.Samples > 100_000:
		return fmt.Errorf("%d samples: want 2 to 100000", o.Samples)
	case o.Hosts < soakMembers || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want %d to 250", o.Hosts, soakMembers)
	case o.Delay < time.Millisecond || o.DrainTimeout < 0:
		return fmt.Errorf("delay %v, drain timeout %v: want 1ms, and nothing negative", o.Delay, o.DrainTimeout)
	}
	return o.Common.validate()
}
