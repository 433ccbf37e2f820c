package bench

import (
	"errors"
	"fmt"
	"time"
)

// RestartOptions are the options of Restart. Of Common, Concurrency's first number is the
// producers (default 64), Round is how long they publish before the kill (default 2s), and
// there are 3 rounds by default for each number of pending messages. Each round starts a
// server, so Server is not used; WarmUp is not used.
type RestartOptions struct {
	Common

	// Pending are how many messages wait for a time far off when the server is killed.
	// Default: 1,000 and 100,000.
	Pending []int

	// Hosts is as in DeliverOptions. Default: 32.
	Hosts int

	// DrainTimeout bounds the wait, after the restart, for everything that is due.
	// Default: 1m.
	DrainTimeout time.Duration
}

func (o RestartOptions) withDefaults() RestartOptions {
	if len(o.Pending) == 0 {
		o.Pending = []int{1000, 100_000}
	}
	orDefault(&o.Rounds, 3)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, time.Minute)
	o.Common.withDefaults(64)
	return o
}

func (o RestartOptions) validate() error {
	if err := checkPending(o.Pending, 0); err != nil {
		return err
	}
	switch {
	case o.Server.URL != "":
		return errors.New("each round kills a server of its own: a running one cannot be measured")
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.DrainTimeout < 0:
		return errors.New("the drain timeout must not be negative")
	case o.BodyBytes < textBytesMin:
		return fmt.Errorf("bodies of %d bytes: want at least %d, since they stand in JSON", o.BodyBytes, textBytesMin)
	}
	return o.Common.validate()
}

// textBytesMin is the least size of a body of text, whose stamp takes four thirds.
const textBytesMin = 64

// checkPending checks numbers of messages that are to wait.
func checkPending(pending []int, least int) error {
	for _, n := range pending {
		if n < least || n > 200_000_000 {
			return fmt.Errorf("%d pending messages: want %d to 200000000", n, least)
		}
	}
	return nil
}
