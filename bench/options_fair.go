package bench

import (
	"errors"
	"fmt"
	"time"
)

// What a tenant of Fair is.
const (
	TenantKey   = "key"   // a flow-control key
	TenantQueue = "queue" // a FIFO queue
)

// FairOptions are the options of Fair. Of Common, Concurrency's first number is the
// producers of the backlog (default 64), a round lasts 5s by default, and there are 2 of
// each side.
type FairOptions struct {
	Common

	// Tenant is TenantKey or TenantQueue. Default: TenantKey.
	Tenant string

	// Backlog is how many messages of the one tenant wait when a round begins. It should
	// last for the round: what is sent when it is used up is not measured. Default: 100,000.
	Backlog int

	// Parallelism is how many attempts that tenant may have under way. Default: 100.
	Parallelism int

	// Rate is how many messages a second the other tenants send, each of which has had
	// nothing for a while. Default: 100.
	Rate int

	// Answer is how long the receiver takes for each message. With Parallelism it slows the
	// backlog down, so that what is measured is the order of turns, and not busy processors;
	// Backlog should then be smaller. Default: no time.
	Answer time.Duration

	// Hosts is as in DeliverOptions, for all tenants. Default: 32.
	Hosts int

	// DrainTimeout is as in DeliverOptions. Default: 2m.
	DrainTimeout time.Duration
}

func (o FairOptions) withDefaults() FairOptions {
	orDefault(&o.Rounds, 2)
	orDefault(&o.Round, 5*time.Second)
	orDefault(&o.Tenant, TenantKey)
	orDefault(&o.Backlog, 100_000)
	orDefault(&o.Parallelism, 100)
	orDefault(&o.Rate, 100)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 2*time.Minute)
	o.Common.withDefaults(64)
	return o
}

func (o FairOptions) validate() error {
	switch {
	case o.Tenant != TenantKey && o.Tenant != TenantQueue:
		return fmt.Errorf("tenant %q: want %s or %s", o.Tenant, TenantKey, TenantQueue)
	case o.Backlog < 1 || o.Backlog > 10_000_000:
		return fmt.Errorf("a backlog of %d: want 1 to 10000000", o.Backlog)
	case o.Parallelism < 1 || o.Parallelism > 10_000:
		return fmt.Errorf("a parallelism of %d: want 1 to 10000", o.Parallelism)
	case o.Rate < 1 || o.Rate > 10_000:
		return fmt.Errorf("rate %d: want 1 to 10000 a second", o.Rate)
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.Answer < 0 || o.DrainTimeout < 0:
		return errors.New("answer and drain timeout must not be negative")
	}
	return o.Common.validate()
}
