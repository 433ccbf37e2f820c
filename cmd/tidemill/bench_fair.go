package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchFair(environ []string) *cobra.Command {
	var o bench.FairOptions
	var b benchFlags
	var tenant *string
	c := &cobra.Command{
		Use:   "fair [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "How much a tenant's backlog delays the first message of another",
		Long: "One tenant, a flow-control key or a queue, has a large backlog that is being delivered.\n" +
			"Other tenants send a message now and then; how much later it arrives than without the\n" +
			"backlog is reported. The backlog has the processors busy, so this is an upper bound;\n" +
			"--answer slows it down.",
		Example: "  tidemill bench fair\n  tidemill bench fair --tenant queue --backlog 1000000 --round 30s\n" +
			"  tidemill bench fair --backlog 20000 --parallelism 20 --answer 10ms",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			o.Tenant = *tenant
			report, err := bench.Fair(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	tenant = config.BindChoice(c, "tenant", "", "what a tenant is", bench.TenantKey, bench.TenantQueue)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "producers of the backlog (default 64)"
	f.Lookup("rounds").Usage = "rounds of each side (default 2)"
	f.Lookup("round").Usage = "length of a round (default 5s)"
	f.IntVar(&o.Backlog, "backlog", 0, "messages that wait when a round begins (default 100000)")
	f.IntVar(&o.Parallelism, "parallelism", 0, "attempts of that tenant at one time (default 100)")
	f.IntVar(&o.Rate, "rate", 0, "first messages of other tenants a second (default 100)")
	f.Var((*config.DurationValue)(&o.Answer), "answer", "how long the receiver takes for each message (default: no time)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the receiver listens on (default 32)")
	return c
}
