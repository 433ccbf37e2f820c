package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchRetries(environ []string) *cobra.Command {
	var o bench.RetriesOptions
	var b benchFlags
	var kind *string
	c := &cobra.Command{
		Use:   "retries [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "An outage of many hosts, the storm after it, and a healthy host beside them",
		Long: "Hosts answer 503, or refuse connections, while messages are published to them; then they\n" +
			"are healed. Measured are the attempts that fail, how long it takes until all that waited has\n" +
			"arrived, and the latency of a healthy host before, in the outage and in the storm. Messages\n" +
			"ask for a number of retries and a delay: one tried more often or sooner fails the run, and so\n" +
			"does one that is lost.",
		Example: "  tidemill bench retries\n  tidemill bench retries --kind refuse --rate 2000",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			o.Kind = *kind
			report, err := bench.Retries(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	kind = config.BindChoice(c, "kind", "", "what the hosts do in the outage", bench.OutageStatus, bench.OutageRefuse)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "connections of each load (default 32)"
	f.Lookup("rounds").Usage = "outages (default 1)"
	f.Lookup("round").Usage = "how long an outage lasts (default 8s)"
	f.Var((*config.DurationValue)(&o.Calm), "calm", "how long the healthy host is measured before it (default 4s)")
	f.IntVar(&o.Rate, "rate", 0, "messages a second to the hosts that are out (default 500)")
	f.IntVar(&o.Beside, "beside", 0, "messages a second to the healthy host (default 100)")
	f.IntVar(&o.Retries, "retries", 0, "Upstash-Retries of the former (default 30)")
	f.Var((*config.DurationValue)(&o.RetryDelay), "retry-delay", "their Upstash-Retry-Delay (default 1s)")
	f.IntVar(&o.Hosts, "hosts", 0, "hosts that are out (default 32)")
	return c
}
