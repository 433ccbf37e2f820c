package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchSoak(environ []string) *cobra.Command {
	var o bench.SoakOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "soak [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "A mixed load for a while, and what the server holds meanwhile",
		Long: "Messages due at once and later, in queues, to a URL group, with callbacks, and to a\n" +
			"destination that fails their first attempt, at a fixed rate. Shown is what the server\n" +
			"holds over time: memory, descriptors, goroutines. All that was acknowledged must arrive,\n" +
			"members of the group and callbacks included, and nothing early.",
		Example: "  tidemill bench soak --round 10m --rate 2000\n" +
			"  tidemill bench soak --url http://127.0.0.1:8080 --pid 4711 --admin http://127.0.0.1:9080",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Soak(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	bindAdminURL(c, &o.Common)
	f.Lookup("concurrency").Usage = "producers that keep the rate (default 16)"
	f.Lookup("rounds").Usage = "rounds (default 1)"
	f.Lookup("round").Usage = "how long the load lasts (default 30s)"
	f.IntVar(&o.Rate, "rate", 0, "messages a second, of all kinds together (default 500)")
	f.Var((*config.DurationValue)(&o.Delay), "delay", "delay of the messages that have one (default 2s)")
	f.IntVar(&o.Samples, "samples", 0, "how often it is looked what the server holds (default 30)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}

// bindAdminURL defines the flag for a running server's admin listener.
func bindAdminURL(c *cobra.Command, o *bench.Common) {
	c.Flags().StringVar(&o.Server.Admin, "admin", "", "admin listener of the server at --url, such as http://127.0.0.1:9080")
}
