package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
)

func newBenchCeilings(environ []string) *cobra.Command {
	var o bench.CeilingsOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "ceilings",
		Args:  cobra.NoArgs,
		Short: "What this machine can do without any product: disk, checksums, HTTP",
		Long: "One writer that makes blocks of a file durable, again and again; checksums; a bare HTTP\n" +
			"echo; a bare HTTP client that calls many hosts; and a relay that keeps messages in memory.\n" +
			"No server of the product takes part.",
		Example: "  tidemill bench ceilings --data-parent /var/lib/tidemill",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			o.Dir = b.data
			report, err := bench.Ceilings(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	hideServer(c)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "numbers of producers of the HTTP sides (default 64,256)"
	f.Lookup("data-parent").Usage = "where the file is made; it must be on the disk to be measured (default: the working directory)"
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}

func newBenchSingle(environ []string) *cobra.Command {
	var o bench.SingleOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "single [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "What a lone producer waits for, over a sync of the disk and an HTTP exchange",
		Long: "One producer publishes, one message after the other. Its p50 is told over the sum of\n" +
			"those of a bare sync of 4 KiB and of a bare HTTP exchange, which take turns with it.",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			o.Dir = b.data
			report, err := bench.Single(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	c.Flags().Lookup("concurrency").Hidden = true
	c.Flags().Lookup("round").Usage = "length of a round (default 1s)"
	return c
}
