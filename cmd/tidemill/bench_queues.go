package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
)

func newBenchQueues(environ []string) *cobra.Command {
	var o bench.QueuesOptions
	var b benchFlags
	var rec recordFlag
	c := &cobra.Command{
		Use:   "queues [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Messages delivered per second in the order of many queues, beside those without a queue",
		Long: "Each queue has one producer, so that the order of its messages is known, and every\n" +
			"arrival is checked for it. Beside the rate stands how long a queue is idle between the\n" +
			"answer to one message and the arrival of the next.",
		Example: "  tidemill bench queues\n  tidemill bench queues --queues 1000 --parallelism 4 --record queues.log",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			return rec.write(&o.Record, func() error {
				report, err := bench.Queues(c.Context(), o)
				return b.write(c.OutOrStdout(), report, err)
			})
		},
	}
	b.bind(c, environ, &o.Common)
	rec.bind(c)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "numbers of producers, each queue having one (default 64)"
	f.IntVar(&o.Queues, "queues", 0, "how many queues there are (default 100)")
	f.IntVar(&o.Parallelism, "parallelism", 0, "their parallelism (default 1)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the receiver listens on (default 32)")
	f.IntVar(&o.Backlog, "backlog", 0, "most messages published and not arrived (default 4 for each queue or producer)")
	return c
}
