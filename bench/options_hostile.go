package bench

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// HostileOptions are the options of Hostile. Of Common, Concurrency's first number is the
// producers (default 64), a round lasts 2.5s by default after a warm-up as long, 1s at most, and there
// are 3 of each side.
type HostileOptions struct {
	Common

	// Hosts is how many hosts there are in all. Default: 100.
	Hosts int

	// The shares of them that are not healthy, in percent; of a kind that is asked for there
	// is at least one. Default: Hang is 1, if all are 0 (row 18).
	Refuse float64 // connections
	Hang   float64 // take in what comes and never answer
	Slow   float64 // answer after SlowAnswer
	Reset  float64 // reset the connection instead of answering
	Fail   float64 // answer 503
	Huge   float64 // answer with HugeBytes

	// Rate is how many messages a second all hosts together get while latency is measured.
	// Default: 1000.
	Rate int

	// SlowAnswer is how long a slow host takes. Default: 2s.
	SlowAnswer time.Duration

	// HugeBytes is the size of a huge answer. Default: 16 MiB.
	HugeBytes int

	// AttemptTimeout and RetryDelay are as in IsolationOptions, for all messages.
	// Default: 5s and 1s.
	AttemptTimeout, RetryDelay time.Duration

	// DrainTimeout is as in IsolationOptions.
	DrainTimeout time.Duration
}

// shares are the percentages by kind.
func (o *HostileOptions) shares() [kindsAll]float64 {
	return [kindsAll]float64{
		kindDead: o.Refuse, kindHole: o.Hang, kindSlow: o.Slow,
		kindReset: o.Reset, kindFailing: o.Fail, kindHuge: o.Huge,
	}
}

// counts are the hosts by kind.
func (o *HostileOptions) counts() (n [kindsAll]int) {
	n[kindHealthy] = o.Hosts
	for kind, percent := range o.shares() {
		if percent > 0 {
			n[kind] = max(1, int(math.Round(percent*float64(o.Hosts)/100)))
			n[kindHealthy] -= n[kind]
		}
	}
	return n
}

func (o HostileOptions) withDefaults() HostileOptions {
	if o.shares() == ([kindsAll]float64{}) {
		o.Hang = 1
	}
	orDefault(&o.Rounds, 3)
	orDefault(&o.Round, 2500*time.Millisecond)
	orDefault(&o.WarmUp, min(o.Round, time.Second))
	orDefault(&o.Hosts, 100)
	orDefault(&o.Rate, 1000)
	orDefault(&o.SlowAnswer, 2*time.Second)
	orDefault(&o.HugeBytes, 16<<20)
	orDefault(&o.AttemptTimeout, 5*time.Second)
	orDefault(&o.RetryDelay, time.Second)
	orDefault(&o.DrainTimeout, 3*time.Minute)
	o.Common.withDefaults(64)
	return o
}

func (o HostileOptions) validate() error {
	for kind, percent := range o.shares() {
		if percent < 0 || percent > 100 || math.IsNaN(percent) {
			return fmt.Errorf("%v %% of %s hosts: want 0 to 100", percent, kindNames[kind])
		}
	}
	switch {
	case o.Hosts < 2 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 2 to 250", o.Hosts)
	case o.counts()[kindHealthy] < 1:
		return fmt.Errorf("of %d hosts none is healthy: want one at least", o.Hosts)
	case o.Rate < 1 || o.Rate > 100_000:
		return fmt.Errorf("rate %d: want 1 to 100000 a second", o.Rate)
	case o.SlowAnswer < time.Millisecond || o.AttemptTimeout < time.Millisecond || o.RetryDelay < time.Millisecond:
		return fmt.Errorf("slow answers of %v, attempts of %v, retries after %v: want at least 1ms each", o.SlowAnswer, o.AttemptTimeout, o.RetryDelay)
	case o.HugeBytes < 0 || o.HugeBytes > 1<<30:
		return fmt.Errorf("huge answers of %d bytes: want 0 to 1 GiB", o.HugeBytes)
	case o.DrainTimeout < 0:
		return errors.New("the drain timeout must not be negative")
	}
	return o.Common.validate()
}
