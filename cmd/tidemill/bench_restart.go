package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
)

func newBenchRestart(environ []string) *cobra.Command {
	var o bench.RestartOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "restart [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "How long a server takes to be back after SIGKILL under load",
		Long: "A server takes messages that wait for an hour to a day, then publishes and delivers for a\n" +
			"while, is killed among that, and is started on the same data. Measured is the time from\n" +
			"the start to the first request that it accepts, to the first delivery, and to the last of\n" +
			"what was due; and what it replayed of its log. Everything that was acknowledged must\n" +
			"arrive, or be known to it if it is not due yet. Each round has a server of its own.",
		Example: "  tidemill bench restart\n" +
			"  tidemill bench restart --pending 10000000 --rounds 1 --body 128",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Restart(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	hideServer(c)
	f.Lookup("concurrency").Usage = "producers (default 64)"
	f.Lookup("rounds").Usage = "kills at each number of pending messages (default 3)"
	f.Lookup("round").Usage = "how long they publish before the kill (default 2s)"
	f.IntSliceVar(&o.Pending, "pending", nil, "messages that wait for a time far off (default 1000,100000)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}

// hideServer hides the flags of a running server, for scenarios that start their own.
func hideServer(c *cobra.Command) {
	for _, name := range []string{"url", "token-file", "pid"} {
		c.Flags().Lookup(name).Hidden = true
	}
}
