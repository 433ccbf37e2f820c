package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
)

func newBenchFanout(environ []string) *cobra.Command {
	var o bench.FanoutOptions
	var b benchFlags
	var rec recordFlag
	c := &cobra.Command{
		Use:   "fanout [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Deliveries per second of publishes to a URL group, beside single publishes",
		Long: "Each endpoint of the group is a host of its own, and must get each message once. Rates\n" +
			"count arrivals at endpoints; the other side publishes to the same hosts one by one.",
		Example: "  tidemill bench fanout\n  tidemill bench fanout --endpoints 100",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			return rec.write(&o.Record, func() error {
				report, err := bench.Fanout(c.Context(), o)
				return b.write(c.OutOrStdout(), report, err)
			})
		},
	}
	b.bind(c, environ, &o.Common)
	rec.bind(c)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "numbers of producers (default 64)"
	f.IntVar(&o.Endpoints, "endpoints", 0, "endpoints of the group (default 10)")
	f.IntVar(&o.Backlog, "backlog", 0, "most deliveries that are owed at one time (default two messages for each producer)")
	return c
}
