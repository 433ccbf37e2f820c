package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
)

func newBenchCron(environ []string) *cobra.Command {
	var o bench.CronOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "cron [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "How late the ticks of many schedules are; one missed, early or double fails the run",
		Long: "Schedules of every second are defined, run for a while and are deleted. Every tick of each\n" +
			"must come once and not before its time. Measured are how late ticks arrive and what processor\n" +
			"time one takes. With --minutes they are schedules of every minute, which any server of the\n" +
			"QStash contract has.",
		Example: "  tidemill bench cron\n  tidemill bench cron --schedules 10000 --minutes 3",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Cron(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "connections on which schedules are defined (default 16)"
	f.Lookup("rounds").Usage = "rounds (default 2)"
	f.Lookup("round").Usage = "length of a round (default 8s)"
	f.IntVar(&o.Schedules, "schedules", 0, "schedules (default 1000)")
	f.IntVar(&o.Minutes, "minutes", 0, "run schedules of every minute for so many minutes (default: of every second)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}
