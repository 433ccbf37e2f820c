package bench

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// CronOptions are the options of Cron. Of Common, Concurrency's first number is the
// connections on which schedules are defined (default 16); a round lasts 8 s by default, and
// there are 2.
type CronOptions struct {
	Common

	// Schedules is how many there are. Default: 1000.
	Schedules int

	// Minutes makes them schedules of every minute, and the rounds one of that many minutes.
	// Default: they are schedules of every second, which needs a server with
	// Tidemill-Cron-Seconds.
	Minutes int

	// Hosts is as in DeliverOptions. Default: 32.
	Hosts int

	// DrainTimeout bounds the wait for the last ticks. Default: 30s.
	DrainTimeout time.Duration

	every time.Duration // for tests, whose server keeps another rhythm
}

func (o CronOptions) withDefaults() CronOptions {
	if o.Minutes > 0 {
		o.Rounds, o.Round = 1, time.Duration(o.Minutes)*time.Minute
	}
	orDefault(&o.Rounds, 2)
	orDefault(&o.Round, 8*time.Second)
	orDefault(&o.Schedules, 1000)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 30*time.Second)
	o.Common.withDefaults(16)
	return o
}

// rhythm is the time between two ticks of a schedule, and what says so to the server.
func (o *CronOptions) rhythm() (every time.Duration, header []string) {
	if o.Minutes > 0 {
		return time.Minute, []string{"Upstash-Cron: * * * * *"}
	}
	return cmp.Or(o.every, time.Second), []string{"Upstash-Cron: * * * * * *", "Tidemill-Cron-Seconds: true"}
}

func (o CronOptions) validate() error {
	switch {
	case o.Schedules < 1 || o.Schedules > 1_000_000:
		return fmt.Errorf("%d schedules: want 1 to 1000000", o.Schedules)
	case o.Minutes < 0 || o.Minutes > 1440:
		return fmt.Errorf("%d minutes: want 0 to 1440", o.Minutes)
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.DrainTimeout < 0:
		return errors.New("the drain timeout must not be negative")
	}
	return o.Common.validate()
}
