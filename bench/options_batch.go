package bench

import (
	"errors"
	"fmt"
	"time"
)

// BatchOptions are the options of Batch. Of Common, Concurrency is 64 by default, and
// bodies have at least 64 bytes.
type BatchOptions struct {
	Common

	// Items is how many messages a call has. Default: 100.
	Items int

	// Delay is sent as Upstash-Delay, so that no delivery falls into the run. Default: 24h.
	Delay time.Duration

	// Deliver makes all messages due at once, in place of Delay.
	Deliver bool

	// Hosts and DrainTimeout are as in DeliverOptions.
	Hosts        int
	DrainTimeout time.Duration
}

// batchItemsMax bounds BatchOptions.Items.
const batchItemsMax = 10_000

func (o BatchOptions) withDefaults() BatchOptions {
	o.Common.withDefaults(64)
	orDefault(&o.Items, 100)
	orDefault(&o.Delay, 24*time.Hour)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 30*time.Second)
	return o
}

func (o BatchOptions) validate() error {
	switch {
	case o.Items < 2 || o.Items > batchItemsMax:
		return fmt.Errorf("%d messages a call: want 2 to %d", o.Items, batchItemsMax)
	case o.Items*o.BodyBytes > 64<<20:
		return fmt.Errorf("calls of %d messages of %d bytes: want 64 MiB at most", o.Items, o.BodyBytes)
	case o.BodyBytes < textStampBytes:
		return fmt.Errorf("bodies of %d bytes: want at least %d", o.BodyBytes, textStampBytes)
	case o.Delay < time.Second:
		return fmt.Errorf("delay %v: want at least 1s", o.Delay)
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.DrainTimeout < 0:
		return errors.New("the drain timeout must not be negative")
	}
	return o.Common.validate()
}
