package bench

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of outages.
const (
	OutageStatus = "503"    // the hosts answer 503
	OutageRefuse = "refuse" // they accept no connections
)

// RetriesOptions are the options of Retries. Of Common, Concurrency's first number is the
// connections of each load (default 32), Round is how long the outage lasts (default 8s),
// and there is one round. WarmUp is not used.
type RetriesOptions struct {
	Common

	// Kind is what the hosts do while they are out: OutageStatus or OutageRefuse. Default:
	// OutageStatus.
	Kind string

	// Calm is how long the healthy host is measured before the outage. Default: 4s.
	Calm time.Duration

	// Rate is how many messages a second are published to the hosts that are out, from the
	// beginning of the outage to the end of the storm. Default: 500.
	Rate int

	// Beside is how many are published to the healthy host. Default: 100.
	Beside int

	// Retries and RetryDelay are the Upstash-Retries and Upstash-Retry-Delay of the former.
	// Together they must outlast the outage. Default: 30, and 1s.
	Retries    int
	RetryDelay time.Duration

	// Hosts is how many are out. Default: 32.
	Hosts int

	// DrainTimeout bounds the wait, after the hosts are healed, for everything. Default: 1m.
	DrainTimeout time.Duration
}

func (o RetriesOptions) withDefaults() RetriesOptions {
	orDefault(&o.Rounds, 1)
	orDefault(&o.Round, 8*time.Second)
	orDefault(&o.Kind, OutageStatus)
	orDefault(&o.Calm, 4*time.Second)
	orDefault(&o.Rate, 500)
	orDefault(&o.Beside, 100)
	orDefault(&o.Retries, 30)
	orDefault(&o.RetryDelay, time.Second)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, time.Minute)
	o.Common.withDefaults(32)
	o.WarmUp = 0
	return o
}

func (o RetriesOptions) validate() error {
	lasts := time.Duration(o.Retries) * o.RetryDelay
	switch {
	case o.Kind != OutageStatus && o.Kind != OutageRefuse:
		return fmt.Errorf("an outage of kind %q: want %s or %s", o.Kind, OutageStatus, OutageRefuse)
	case o.Rate < 1 || o.Rate > rateMax || o.Beside < 1 || o.Beside > rateMax:
		return fmt.Errorf("rates of %d and %d: want 1 to %d a second", o.Rate, o.Beside, rateMax)
	case o.Retries < 1 || o.RetryDelay < time.Millisecond:
		return fmt.Errorf("%d retries after %v: want at least 1, and 1ms", o.Retries, o.RetryDelay)
	case lasts < o.Round+o.RetryDelay:
		return fmt.Errorf("%d retries after %v each last %v: want more than an outage of %v", o.Retries, o.RetryDelay, lasts, o.Round)
	case o.Calm < 0 || o.DrainTimeout < 0:
		return errors.New("calm and drain timeout must not be negative")
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	}
	return o.Common.validate()
}
