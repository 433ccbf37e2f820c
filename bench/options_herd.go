package bench

import (
	"errors"
	"fmt"
	"time"
)

// HerdOptions are the options of Herd. Of Common, Concurrency's first number is the
// connections that the herd is published on (default 16), Round is how long deliveries are
// measured for comparison (default 3s), and there is one round. Bodies have at least 64
// bytes. WarmUp is not used.
type HerdOptions struct {
	Common

	// Messages fall due at one moment. Default: 100,000.
	Messages int

	// Lead is how long before that they are published: it must take less. Default: half as
	// long as so many messages take to be delivered, by what was measured, and 3s.
	Lead time.Duration

	// Beside is how many messages a second are published while the herd is delivered, due
	// in a day. Default: 100.
	Beside int

	// Hosts is as in DeliverOptions. Default: 32.
	Hosts int

	// DrainTimeout begins at the moment at which the herd is due. Default: 10m.
	DrainTimeout time.Duration
}

// herdItems is how many messages of a herd one call publishes.
const herdItems = 100

func (o HerdOptions) withDefaults() HerdOptions {
	orDefault(&o.Rounds, 1)
	orDefault(&o.Round, peakLength)
	orDefault(&o.Messages, 100_000)
	orDefault(&o.Beside, 100)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 10*time.Minute)
	o.Common.withDefaults(16)
	return o
}

func (o HerdOptions) validate() error {
	switch {
	case o.Messages < 1 || o.Messages > 100_000_000:
		return fmt.Errorf("%d messages: want 1 to 100000000", o.Messages)
	case o.Beside < 1 || o.Beside > rateMax:
		return fmt.Errorf("%d publishes a second: want 1 to %d", o.Beside, rateMax)
	case o.Lead < 0 || o.DrainTimeout < 0:
		return errors.New("lead and drain timeout must not be negative")
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.BodyBytes < textStampBytes:
		return fmt.Errorf("bodies of %d bytes: want at least %d", o.BodyBytes, textStampBytes)
	}
	return o.Common.validate()
}
