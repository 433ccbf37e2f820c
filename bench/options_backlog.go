package bench

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// BacklogOptions are the options of Backlog. Of Common, Concurrency's first number is the
// producers (default 64), a round lasts a second by default, and Server is not used, since
// each number of pending messages has a server of its own.
type BacklogOptions struct {
	Common

	// Pending are the numbers of messages that wait while the rest is measured, two at
	// least, the smallest first. What costs more with many is told over what it costs with
	// the smallest. Default: 1,000 and 100,000.
	Pending []int

	// Drain has a further server take as many messages as the largest number, nine of
	// ten due soon, and tells what its data take on the disk Settle after those were
	// delivered.
	Drain bool

	// DrainDelay is the delay of those: all should be published before. Default: 5s, and a
	// second more for every 20,000.
	DrainDelay time.Duration

	// Settle is how long a server that has drained is left alone before its disk is looked
	// at. Default: 60s.
	Settle time.Duration

	// Calm is how long a server is left alone before it is looked at what its backlog takes.
	// Default: 1s.
	Calm time.Duration

	// Hosts is as in DeliverOptions. Default: 32.
	Hosts int

	// DrainTimeout is as in DeliverOptions. Default: 5m.
	DrainTimeout time.Duration
}

func (o BacklogOptions) withDefaults() BacklogOptions {
	if len(o.Pending) == 0 {
		o.Pending = []int{1000, 100_000}
	}
	orDefault(&o.Round, time.Second)
	orDefault(&o.Settle, time.Minute)
	orDefault(&o.Calm, time.Second)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 5*time.Minute)
	orDefault(&o.DrainDelay, 5*time.Second+time.Duration(slices.Max(o.Pending)/drainRate)*time.Second)
	o.Common.withDefaults(64)
	return o
}

func (o BacklogOptions) validate() error {
	if err := checkPending(o.Pending, 1); err != nil {
		return err
	}
	switch {
	case len(o.Pending) < 2 || !slices.IsSorted(o.Pending):
		return fmt.Errorf("pending %v: want at least two numbers, the smallest first", o.Pending)
	case o.Server.URL != "":
		return errors.New("each number of pending messages needs a server of its own: a running one cannot be measured")
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.Settle < 0 || o.Calm < 0 || o.DrainDelay < time.Millisecond || o.DrainTimeout < 0:
		return errors.New("calm, settle, drain delay and drain timeout must not be negative")
	case o.BodyBytes < textBytesMin:
		return fmt.Errorf("bodies of %d bytes: want at least %d, since they stand in JSON", o.BodyBytes, textBytesMin)
	}
	return o.Common.validate()
}

// drainRate is how many messages a second any server is taken to accept in batches.
const drainRate = 20_000

// delay is that of the messages that are measured: so long that none is delivered while
// publishes are measured, as long as requests do not take longer than delayMargin.
func (o *BacklogOptions) delay() time.Duration {
	return (o.WarmUp + o.Round + delayMargin).Truncate(time.Millisecond)
}

const delayMargin = 500 * time.Millisecond
