package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// QueuesOptions are the options of Queues. Of Common, Concurrency is 64 by default, and at
// most the number of queues, since each queue has one producer.
type QueuesOptions struct {
	Common

	// Queues is how many there are. Default: 100.
	Queues int

	// Parallelism is theirs. Default: 1.
	Parallelism int

	// Hosts is as in DeliverOptions; the messages of a queue go to one of them. Default: 32.
	Hosts int

	// Backlog is as in DeliverOptions, over all queues. Default: 4 for each producer or
	// queue, whichever are more.
	Backlog int

	// DrainTimeout is as in DeliverOptions.
	DrainTimeout time.Duration

	// Record is written what the receiver saw (RECORDING.md), between the rounds. Default:
	// it is kept for a round, and checked.
	Record io.Writer
}

// queuesMax bounds what the ledgers of a run take: 64 KiB each.
const queuesMax = 5000

func (o QueuesOptions) withDefaults() QueuesOptions {
	orDefault(&o.Queues, 100)
	orDefault(&o.Parallelism, 1)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 30*time.Second)
	o.Common.withDefaults(min(64, max(o.Queues, 1)))
	orDefault(&o.Backlog, 4*max(o.Queues, slices.Max(o.Concurrency)))
	return o
}

func (o QueuesOptions) validate() error {
	switch {
	case o.Queues < 1 || o.Queues > queuesMax:
		return fmt.Errorf("%d queues: want 1 to %d", o.Queues, queuesMax)
	case slices.Max(o.Concurrency) > o.Queues:
		return fmt.Errorf("%d producers of %d queues: want one for each queue at most, so that the order of its messages is known",
			slices.Max(o.Concurrency), o.Queues)
	case o.Parallelism < 1 || o.Parallelism > 1000:
		return fmt.Errorf("a parallelism of %d: want 1 to 1000", o.Parallelism)
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.Backlog < 0 || o.DrainTimeout < 0:
		return errors.New("backlog and drain timeout must not be negative")
	}
	return o.Common.validate()
}

// delivery is what the sides of a Queues have in common with those of a Deliver.
func (o *QueuesOptions) delivery() *DeliverOptions {
	return &DeliverOptions{Common: o.Common, Hosts: o.Hosts, Backlog: o.Backlog, DrainTimeout: o.DrainTimeout}
}
