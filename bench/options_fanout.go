package bench

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// FanoutOptions are the options of Fanout. Of Common, Concurrency is 64 by default.
type FanoutOptions struct {
	Common

	// Endpoints is how many the URL group has, each a host of its own. Default: 10.
	Endpoints int

	// Backlog bounds the deliveries that are owed, on both sides; it is at least one message
	// for each producer. Default: two messages of the group for each producer.
	Backlog int

	// DrainTimeout is as in DeliverOptions.
	DrainTimeout time.Duration

	// Record is as in QueuesOptions.
	Record io.Writer
}

func (o FanoutOptions) withDefaults() FanoutOptions {
	orDefault(&o.Endpoints, 10)
	orDefault(&o.DrainTimeout, 30*time.Second)
	o.Common.withDefaults(64)
	return o
}

func (o FanoutOptions) validate() error {
	switch {
	case o.Endpoints < 1 || o.Endpoints > 100: // the contract's limit
		return fmt.Errorf("%d endpoints: want 1 to 100", o.Endpoints)
	case o.Backlog < 0 || o.DrainTimeout < 0:
		return errors.New("backlog and drain timeout must not be negative")
	}
	return o.Common.validate()
}

// delivery is what both sides have in common with a Deliver, for c producers.
func (o *FanoutOptions) delivery(c int) *DeliverOptions {
	backlog := o.Backlog
	orDefault(&backlog, 2*c*o.Endpoints)
	return &DeliverOptions{
		Common: o.Common, Hosts: o.Endpoints, DrainTimeout: o.DrainTimeout,
		Backlog: max(backlog, c*o.Endpoints), // see ledger.openMany
	}
}
