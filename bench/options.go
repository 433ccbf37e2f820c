package bench

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Server is a server to be measured. To deliver to the sink it must allow
// destinations in 127.0.0.0/8.
type Server struct {
	URL   string // such as http://127.0.0.1:8080
	Token string // its bearer token; "" sends none
	PID   int    // its process, for CPU per message; 0: not known
	Admin string // its admin listener, such as http://127.0.0.1:9080; "": not known
	Data  string // its data directory, on this machine; "": not known
}

// Common is what all scenarios are told.
type Common struct {
	// Server is measured if it has a URL. Otherwise one is started by Spawn.
	Server Server

	// Spawn starts the reference servers, and the measured one if need be.
	// Required; Reexec.Spawn is the usual one.
	Spawn Spawn

	// Concurrency lists the numbers of producers to measure with.
	// Default: 64 and 256 for Publish, 256 for Deliver.
	Concurrency []int

	// Rounds is how often each side runs. Default: 5.
	Rounds int

	// Round is how long a side is measured in each. Default: 2s.
	Round time.Duration

	// WarmUp precedes each, with the same load and not counted. Default: 300ms.
	WarmUp time.Duration

	// BodyBytes is the size of a body, at least 32. Default: 1024.
	BodyBytes int

	// RequestTimeout bounds one request of a producer. Default: 10s.
	RequestTimeout time.Duration

	// Runtime has Publish and Deliver tell of the server's heap allocations and of its
	// garbage collector, by its admin listener, which must be known.
	Runtime bool

	// Disk, if any, is a directory on the server's disk: Publish and Deliver measure a
	// further side there, one writer that makes blocks of 16 KiB durable, and Deliver another,
	// a bare fasthttp echo: a message's CPU time from publish to delivery is compared with it.
	Disk string

	// Log receives one line for each round. Default: nothing is logged.
	Log *slog.Logger

	// Progress, if any, is told how far the run is, twice a second. It is called by one
	// goroutine at a time and must not block: the load goes on.
	Progress func(Progress)

	// Settle bounds a wait of Publish and Deliver, before their first round, for the server
	// to write nothing any more: one that was just started prepares segments and a reserve,
	// half a minute long. Default: no wait.
	Settle time.Duration

	// Setting is what a report says of the run that only its caller knows.
	Setting Setting

	began time.Time // set by withDefaults, which every run calls first
}

// PublishOptions are the options of Publish.
type PublishOptions struct {
	Common

	// Delay is sent as Upstash-Delay, so that publishing is measured alone: no
	// delivery may fall into the run. Default: 24h.
	Delay time.Duration

	// Destination is where the messages would go. Nothing is sent there in a run
	// shorter than Delay. Default: http://127.0.0.1:9/ (a running server must
	// allow it).
	Destination string

	// Rate makes the producers an open loop, on Concurrency's first number of
	// connections (default 64). Default: a closed loop.
	Rate Rate
}

// DeliverOptions are the options of Deliver.
type DeliverOptions struct {
	Common

	// Hosts is the number of loopback addresses, 127.0.0.1 and up, that the sink
	// listens on: so many hosts the server sees. Default: 32.
	Hosts int

	// Backlog bounds the messages that are published and have not arrived;
	// producers wait when it is reached, so a side that acknowledges faster than
	// it delivers is measured at the pace of its deliveries, and its latency is
	// about Backlog / rate. Default: 4 for each producer.
	Backlog int

	// DrainTimeout bounds the wait for the last deliveries after a round. What has
	// not arrived by then is lost. Default: 30s.
	DrainTimeout time.Duration

	// Rate makes the producers an open loop, as in PublishOptions. There is no bound on
	// what is under way then.
	Rate Rate

	// Verify checks every n-th signature of the server's deliveries, with the key that it
	// tells at GET /v2/keys; a wrong one fails the run with ErrSignature. It takes the
	// harness some microseconds each. Default: none.
	Verify int

	// Later is the share of the messages, below 1, that are delayed by an hour to a week,
	// which is beyond the run. Default: 0.
	Later float64
}

// IsolationOptions are the options of Isolation. Of Common, Concurrency's first number
// is the producers (default 64), a round lasts 2s by default after a warm-up as long (5s at
// most), and there are 2 of each side. Each round starts a server, so Server is not used.
type IsolationOptions struct {
	Common

	// Hosts is how many hosts of each bad kind there are. Default: 100.
	Hosts int

	// Rate is how many messages a second the healthy host gets while latency is
	// measured; each of the three other kinds gets as many. Default: 500: with it the
	// slow hosts alone ask for a thousand attempts at one time.
	Rate int

	// Slow is how long a slow host takes to answer. Default: 2s.
	Slow time.Duration

	// AttemptTimeout is the bad hosts' Upstash-Timeout: how long a black hole holds an
	// attempt. Default: 30s.
	AttemptTimeout time.Duration

	// RetryDelay is their Upstash-Retry-Delay. Default: 2s.
	RetryDelay time.Duration

	// DrainTimeout bounds the wait, after a round, for everything that was
	// acknowledged. Default: 3m.
	DrainTimeout time.Duration
}

// OverloadOptions are the options of Overload. Of Common, Concurrency's first number is
// the connections that the load is offered on (default 1000), Round is how long it lasts
// (default 12s) and Rounds is not used.
type OverloadOptions struct {
	Common

	// Factors are the loads, in multiples of what the server delivers in a closed loop.
	// Default: 2 and 10.
	Factors []int

	// Peak is how long that is measured before each load. Default: 4s.
	Peak time.Duration

	// Answer is how long the sink takes for each message. With delivery.parallelism it
	// sets what delivery can take, so that a tenfold load is one that the machine can
	// make. Default: no time.
	Answer time.Duration

	// Hosts is as in DeliverOptions. Default: 32.
	Hosts int

	// DrainTimeout bounds the wait for everything that was accepted. Default: 10m.
	DrainTimeout time.Duration
}

// PullOptions are the options of Pull. Of Common, Concurrency are the consumers (default
// 16), and bodies have at least 128 bytes.
type PullOptions struct {
	Common

	// Depth is how many messages wait in the queue when a round begins, its warm-up
	// included. Consumers that find it used up publish for themselves, so a rate is that of
	// receiving alone only while it lasts. Default: 100,000.
	Depth int

	// DrainTimeout is as in DeliverOptions.
	DrainTimeout time.Duration
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (c *Common) withDefaults(concurrency ...int) {
	if len(c.Concurrency) == 0 {
		c.Concurrency = concurrency
	}
	orDefault(&c.Rounds, 5)
	orDefault(&c.Round, 2*time.Second)
	orDefault(&c.WarmUp, 300*time.Millisecond)
	orDefault(&c.BodyBytes, 1024)
	orDefault(&c.RequestTimeout, 10*time.Second)
	orDefault(&c.Log, slog.New(slog.DiscardHandler))
	c.began = time.Now()
}

func (c *Common) validate() error {
	for _, n := range c.Concurrency {
		if n < 1 || n > 10_000 {
			return fmt.Errorf("concurrency %d: want 1 to 10000", n)
		}
	}
	switch {
	case c.Spawn == nil:
		return errors.New("no Spawn: it starts the reference servers")
	case c.Rounds < 1:
		return fmt.Errorf("%d rounds: want at least 1", c.Rounds)
	case c.Round < 0 || c.WarmUp < 0 || c.RequestTimeout < 0:
		return errors.New("round, warm-up and request timeout must not be negative")
	case c.Settle < 0:
		return errors.New("settling must not be negative")
	case c.BodyBytes < stampBytes || c.BodyBytes > 64<<20:
		return fmt.Errorf("bodies of %d bytes: want %d bytes to 64 MiB", c.BodyBytes, stampBytes)
	}
	if c.Server.URL == "" {
		return nil
	}
	if u, err := url.Parse(c.Server.URL); err != nil || u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("server %q: want a URL such as http://127.0.0.1:8080", c.Server.URL)
	}
	if strings.ContainsAny(c.Server.Token, "\r\n") {
		return errors.New("the token contains a line break")
	}
	return nil
}

func (o PublishOptions) withDefaults() PublishOptions {
	if o.Rate.given() {
		o.Common.withDefaults(openProducers)
	}
	o.Common.withDefaults(64, 256)
	orDefault(&o.Delay, 24*time.Hour)
	orDefault(&o.Destination, "http://127.0.0.1:9/")
	return o
}

func (o PublishOptions) validate() error {
	switch {
	case o.Delay < time.Second:
		return fmt.Errorf("delay %v: want at least 1s", o.Delay)
	case strings.ContainsAny(o.Destination, " \r\n"):
		return fmt.Errorf("destination %q: want a URL", o.Destination)
	}
	return errors.Join(o.Rate.validate(), o.Common.closedOnly(o.Rate), o.Common.validate())
}

func (o DeliverOptions) withDefaults() DeliverOptions {
	if o.Rate.given() {
		o.Common.withDefaults(openProducers)
	}
	o.Common.withDefaults(256)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 30*time.Second)
	return o
}

func (o DeliverOptions) validate() error {
	switch {
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.Backlog < 0 || o.DrainTimeout < 0 || o.Verify < 0:
		return errors.New("backlog, drain timeout and verify must not be negative")
	case !(o.Later >= 0 && o.Later < 1) || o.Later > 0 && o.Rate.given():
		return fmt.Errorf("a share of %g is delayed: want at least 0 and less than 1, and not with a rate", o.Later)
	}
	return errors.Join(o.Rate.validate(), o.Common.closedOnly(o.Rate), o.Common.validate())
}

func (o IsolationOptions) withDefaults() IsolationOptions {
	orDefault(&o.Rounds, 2)
	orDefault(&o.Round, 2*time.Second)
	orDefault(&o.WarmUp, min(o.Round, 5*time.Second))
	orDefault(&o.Hosts, 100)
	orDefault(&o.Rate, 500)
	orDefault(&o.Slow, 2*time.Second)
	orDefault(&o.AttemptTimeout, 30*time.Second)
	orDefault(&o.RetryDelay, 2*time.Second)
	orDefault(&o.DrainTimeout, 3*time.Minute)
	o.Common.withDefaults(64)
	return o
}

func (o IsolationOptions) validate() error {
	switch {
	case o.Server.URL != "":
		return errors.New("each round needs a server of its own: a running one cannot be measured")
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts of each kind: want 1 to 250", o.Hosts)
	case o.Rate < 1 || o.Rate > 100_000:
		return fmt.Errorf("rate %d: want 1 to 100000 a second", o.Rate)
	case o.Slow < time.Millisecond || o.AttemptTimeout < time.Millisecond || o.RetryDelay < time.Millisecond:
		return fmt.Errorf("slow hosts of %v, attempts of %v, retries after %v: want at least 1ms each", o.Slow, o.AttemptTimeout, o.RetryDelay)
	case o.DrainTimeout < 0:
		return errors.New("the drain timeout must not be negative")
	}
	return o.Common.validate()
}

func (o OverloadOptions) withDefaults() OverloadOptions {
	orDefault(&o.Round, 12*time.Second)
	orDefault(&o.Peak, 4*time.Second)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 10*time.Minute)
	if len(o.Factors) == 0 {
		o.Factors = []int{2, 10}
	}
	o.Common.withDefaults(1000)
	return o
}

func (o OverloadOptions) validate() error {
	for _, f := range o.Factors {
		if f < 1 || f > 1000 {
			return fmt.Errorf("factor %d: want 1 to 1000", f)
		}
	}
	switch {
	case o.Peak < 0 || o.Answer < 0 || o.DrainTimeout < 0:
		return errors.New("peak, answer and drain timeout must not be negative")
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	}
	return o.Common.validate()
}

// backlog is the bound for c producers.
func (o DeliverOptions) backlog(c int) int {
	if o.Backlog > 0 {
		return o.Backlog
	}
	return 4 * c
}

func (o PullOptions) withDefaults() PullOptions {
	o.Common.withDefaults(16)
	orDefault(&o.Depth, 100_000)
	orDefault(&o.DrainTimeout, time.Minute)
	return o
}

func (o PullOptions) validate() error {
	switch {
	case o.BodyBytes < pullBodyMin || o.BodyBytes > pullBodyMax:
		return fmt.Errorf("bodies of %d bytes: want %d to %d", o.BodyBytes, pullBodyMin, pullBodyMax)
	case o.Depth < 0 || o.Depth > 10_000_000:
		return fmt.Errorf("a depth of %d: want 0 to 10000000", o.Depth)
	case o.DrainTimeout < 0:
		return errors.New("the drain timeout must not be negative")
	}
	return o.Common.validate()
}
