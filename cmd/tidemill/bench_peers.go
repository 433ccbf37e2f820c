package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func newBenchPeers(environ []string) *cobra.Command {
	var (
		o    bench.PeersOptions
		b    benchFlags
		list bool
	)
	c := &cobra.Command{
		Use:   "peers [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Publishes and deliveries per second, beside Redis, Quirrel, NATS and Postgres",
		Long: "Measures the server beside what people use instead: Redis and NATS JetStream, with a bridge of ours\n" +
			"that delivers, Quirrel, which delivers itself, and one-row commits of Postgres. It takes those that\n" +
			"are on PATH, says how to install the others, and runs each on 127.0.0.1, on a fresh directory, so that\n" +
			"what it acknowledges is synced. All have the same producers and the same sink, one request of each\n" +
			"producer at a time, in rounds that take turns; Quirrel takes JSON, so its bodies are text of the same\n" +
			"size. What the server loses fails the run, and what a peer loses is told.\n" +
			"With all four it takes a minute; longer rounds give steadier figures.",
		Example: "  tidemill bench peers --list\n  tidemill bench peers --peers redis,quirrel --round 2s",
		RunE: func(c *cobra.Command, args []string) error {
			if list {
				return listPeers(c, o.Peers)
			}
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			o.DataParent = b.data
			report, err := bench.Peers(c.Context(), o)
			if errors.Is(err, bench.ErrNoPeer) {
				err = exit.With(exit.NoInput, err)
			}
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "numbers of producers of what is not delivered (default 64,256)"
	f.Lookup("round").Usage = "length of a round (default 600ms)"
	f.Lookup("data-parent").Usage = "where the data directories of all are made; it must be on the disk to be measured (default: the working directory)"
	f.StringSliceVar(&o.Peers, "peers", nil, "which to measure: "+strings.Join(bench.PeerNames(), ",")+" (default: all that are installed)")
	f.BoolVar(&list, "list", false, "say which are installed, how to install the others, and how each would run; measure nothing")
	f.IntVar(&o.Delivering, "delivering", 0, "producers of what is delivered (default 64)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	f.IntVar(&o.Backlog, "backlog", 0, "most messages published and not arrived (default 4 for each producer)")
	f.Var((*config.DurationValue)(&o.DrainTimeout), "drain-timeout", "what has not arrived so long after a round is lost (default 30s)")
	return c
}

func listPeers(c *cobra.Command, names []string) error {
	peers, err := bench.KnownPeers(c.Context(), names...)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	return bench.WritePeers(c.OutOrStdout(), peers)
}
