package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchHostile(environ []string) *cobra.Command {
	var o bench.HostileOptions
	var b benchFlags
	var huge int64
	c := &cobra.Command{
		Use:   "hostile [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "What a share of bad hosts costs the others",
		Long: "All hosts get as many messages each; what arrives at the healthy ones is measured, over\n" +
			"what they get when all are healthy: latency at a fixed rate, throughput with as many\n" +
			"messages as the server takes. Afterwards the bad ones are healed, and everything that was\n" +
			"acknowledged must arrive. Without a share given, 1% hang.",
		Example: "  tidemill bench hostile\n  tidemill bench hostile --refuse 5% --hang 5% --slow 5% --reset 5% --fail 5% --huge 5%",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			o.HugeBytes = int(huge)
			report, err := bench.Hostile(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "producers (default 64)"
	f.Lookup("rounds").Usage = "rounds of each side (default 3)"
	f.Lookup("round").Usage = "length of a round, after a warm-up as long, 1s at most (default 2.5s)"
	f.IntVar(&o.Hosts, "hosts", 0, "hosts in all (default 100)")
	f.Var((*percent)(&o.Refuse), "refuse", "share of them that refuse connections, such as 5%")
	f.Var((*percent)(&o.Hang), "hang", "share that never answer (default 1%, if there is no other)")
	f.Var((*percent)(&o.Slow), "slow", "share that answer after --slow-answer")
	f.Var((*percent)(&o.Reset), "reset", "share that reset the connection")
	f.Var((*percent)(&o.Fail), "fail", "share that answer 503")
	f.Var((*percent)(&o.Huge), "huge", "share that answer with --huge-size")
	f.IntVar(&o.Rate, "rate", 0, "messages a second to all hosts while latency is measured (default 1000)")
	f.Var((*config.DurationValue)(&o.SlowAnswer), "slow-answer", "how long a slow host takes (default 2s)")
	f.Var((*config.SizeValue)(&huge), "huge-size", "size of a huge answer (default 16MiB)")
	f.Var((*config.DurationValue)(&o.AttemptTimeout), "attempt-timeout", "Upstash-Timeout of all messages (default 5s)")
	f.Var((*config.DurationValue)(&o.RetryDelay), "retry-delay", "their Upstash-Retry-Delay (default 1s)")
	return c
}

// percent is a share on the command line: 5% or 0.5%.
type percent float64

func (p *percent) String() string {
	if *p == 0 { // no default to show
		return ""
	}
	return fmt.Sprintf("%v%%", float64(*p))
}

func (p *percent) Set(s string) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil {
		return fmt.Errorf("%q: want a share such as 5%%", s)
	}
	*p = percent(v)
	return nil
}

func (*percent) Type() string { return "percent" }
