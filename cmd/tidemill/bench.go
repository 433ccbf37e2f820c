package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

// newBench wires bench's Options to flags. Children are this executable again: the
// server by `serve`, the reference servers by the hidden `bench role`.
func newBench(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server beside reference servers in the same run",
		Long:  benchRows,
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newBenchPublish(environ), newBenchDeliver(environ), newBenchIsolation(environ), newBenchOverload(environ), newBenchPull(environ), newBenchRole())
	c.AddCommand(newBenchDelayed(environ), newBenchLateness(environ))
	c.AddCommand(newBenchBatch(environ), newBenchHerd(environ), newBenchRetries(environ), newBenchCron(environ))
	c.AddCommand(newBenchQueues(environ), newBenchFlow(environ), newBenchFanout(environ), newBenchHostile(environ), newBenchFair(environ), newBenchVerify())
	c.AddCommand(newBenchRestart(environ), newBenchBacklog(environ), newBenchSoak(environ))
	c.AddCommand(newBenchCeilings(environ), newBenchSingle(environ), newBenchPeers(environ))
	c.AddCommand(newBenchCompare(), newBenchReport())
	return c
}

func newBenchPublish(environ []string) *cobra.Command {
	var o bench.PublishOptions
	var b benchFlags
	var x benchExtras
	c := &cobra.Command{
		Use:   "publish [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Acknowledged publishes per second, beside a bare HTTP echo",
		Long: "Producers publish messages that are not due in the run, each with one request in flight,\n" +
			"and are answered when the message is on disk. Beside the server a bare HTTP server is\n" +
			"measured that answers the same requests and keeps nothing. With --rate they are sent at\n" +
			"a fixed rate, and latencies count from when each was to be sent.",
		Example: "  tidemill bench publish\n" +
			"  tidemill bench publish --concurrency 64 --body 16KiB -- --log.fsync interval=10ms",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			x.apply(&b, &o.Common)
			report, err := bench.Publish(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	x.bind(c, &o.Common)
	c.Flags().Var((*config.DurationValue)(&o.Delay), "delay", "delay of the messages, so that none is delivered in the run (default 1d)")
	c.Flags().StringVar(&o.Destination, "destination", "", "where the messages would go")
	bindRate(c, &o.Rate)
	return c
}

func newBenchDeliver(environ []string) *cobra.Command {
	var o bench.DeliverOptions
	var b benchFlags
	var x benchExtras
	c := &cobra.Command{
		Use:   "deliver [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Delivered messages per second, beside a relay that keeps them in memory",
		Long: "Messages are published and arrive at a sink on many addresses, which checks every body and\n" +
			"counts what is lost or comes twice; a loss fails the run. Beside the server a relay is\n" +
			"measured that forwards from memory, and a client that calls the sink itself. With --rate\n" +
			"they are published at a fixed rate, and latencies count from when each was to be sent.\n" +
			"With --later some of them are not due in the run, and the server is measured alone: what\n" +
			"it writes for each byte of a body.",
		Example: "  tidemill bench deliver\n  tidemill bench deliver --later 0.5 --round 10s --settle 45s\n  tidemill bench deliver --hosts 1 --format bench\n  tidemill bench deliver --rate half",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			x.apply(&b, &o.Common)
			report, err := bench.Deliver(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	x.bind(c, &o.Common)
	c.Flags().IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	c.Flags().IntVar(&o.Backlog, "backlog", 0, "most messages published and not arrived (default 4 for each producer)")
	c.Flags().IntVar(&o.Verify, "verify", 0, "check every n-th signature of the server's deliveries (default none)")
	c.Flags().Float64Var(&o.Later, "later", 0, "share of the messages that are delayed, by an hour to a week: measure the server alone (default none)")
	bindRate(c, &o.Rate)
	return c
}

func newBenchIsolation(environ []string) *cobra.Command {
	var o bench.IsolationOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "isolation [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "What dead, silent and slow destinations cost a healthy one",
		Long: "One healthy host gets a quarter of the messages; the others go to hosts that refuse\n" +
			"connections, that accept them and never answer, and that take their time. Measured is\n" +
			"the healthy host, over what it has when the other messages are not due. Afterwards all\n" +
			"hosts are revived, and every message that was acknowledged must arrive. Each round starts a\n" +
			"server of its own.",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Isolation(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	for _, name := range []string{"url", "token-file", "pid"} { // each round starts a server
		f.Lookup(name).Hidden = true
	}
	f.Lookup("concurrency").Usage = "producers (default 64)"
	f.Lookup("rounds").Usage = "rounds of each side (default 2)"
	f.Lookup("round").Usage = "length of a round, after a warm-up as long, 5s at most (default 2s)"
	f.IntVar(&o.Hosts, "hosts", 0, "hosts of each bad kind (default 100)")
	f.IntVar(&o.Rate, "rate", 0, "messages a second to the healthy host, and to each bad kind, while latency is measured (default 500)")
	f.Var((*config.DurationValue)(&o.Slow), "slow", "how long a slow host takes (default 2s)")
	f.Var((*config.DurationValue)(&o.AttemptTimeout), "attempt-timeout", "Upstash-Timeout of the bad hosts' messages (default 30s)")
	f.Var((*config.DurationValue)(&o.RetryDelay), "retry-delay", "their Upstash-Retry-Delay (default 2s)")
	return c
}

func newBenchOverload(environ []string) *cobra.Command {
	var o bench.OverloadOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "overload [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "What a server does with more publishes than it can deliver",
		Long: "Before each load, what the server can deliver is measured; the load is a multiple of it.\n" +
			"Everything that is accepted must arrive afterwards, and what is refused must not. To make\n" +
			"a tenfold load possible on one machine, slow the deliveries down, for example to 2000/s:\n" +
			"  tidemill bench overload --answer 50ms -- --delivery.parallelism 100",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Overload(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	f.Lookup("rounds").Hidden = true
	f.Lookup("concurrency").Usage = "connections that the load is offered on (default 1000)"
	f.Lookup("round").Usage = "how long a load lasts (default 12s)"
	f.IntSliceVar(&o.Factors, "factor", nil, "loads, in multiples of what the server delivers (default 2,10)")
	f.Var((*config.DurationValue)(&o.Peak), "peak", "how long that is measured (default 4s)")
	f.Var((*config.DurationValue)(&o.Answer), "answer", "how long the sink takes for each message (default: no time)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}

func newBenchPull(environ []string) *cobra.Command {
	var o bench.PullOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "pull [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Messages received and acknowledged per second, beside a bare HTTP echo",
		Long: "Consumers receive from one queue of the JSON API and acknowledge, 100 messages at a time.\n" +
			"The messages are published before each round. Everything must be received, and nothing\n" +
			"again that was acknowledged. p50 and p99 are those of a receive.",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Pull(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "consumers (default 16)"
	f.IntVar(&o.Depth, "depth", 0, "messages that wait in the queue when a round begins (default 100000)")
	return c
}

// bindRate defines --rate, which makes closed loops open ones.
func bindRate(c *cobra.Command, r *bench.Rate) {
	c.Flags().Var(r, "rate", "send that many messages a second on 64 connections, and count latencies from the moment at which each was to be sent; half: half of the peak, which is measured first (default: as many as possible)")
}

// newBenchRole is what the harness starts as a child.
func newBenchRole() *cobra.Command {
	return &cobra.Command{
		Use:    "role NAME",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return bench.RunRole(c.Context(), bench.Role(args[0]), c.InOrStdin(), c.OutOrStdout())
		},
	}
}

// benchFlags are the flags of all scenarios that are not bench's own options.
type benchFlags struct {
	data   string
	format *string
	body   int64
	round  time.Duration
	token  *client.Token

	environ []string
	machine string
	files   benchFiles
	quiet   bool
	live    *liveLine
}

// bind defines the flags. Zero values mean bench's own defaults.
func (b *benchFlags) bind(c *cobra.Command, environ []string, o *bench.Common) {
	f := c.Flags()
	f.StringVar(&o.Server.URL, "url", "", "measure the server there (default: start one)")
	b.token = client.BindToken(f, environ)
	b.environ = environ
	f.IntVar(&o.Server.PID, "pid", 0, "its process, for CPU time per message")
	f.IntSliceVar(&o.Concurrency, "concurrency", nil, "numbers of producers, each with one request in flight (default publish 64,256; deliver 256)")
	f.IntVar(&o.Rounds, "rounds", 0, "rounds of each side (default 5)")
	f.Var((*config.DurationValue)(&b.round), "round", "length of a round (default 2s)")
	f.Var((*config.SizeValue)(&b.body), "body", "size of a body (default 1KiB)")
	f.StringVar(&b.data, "data-parent", "", "where the server's data directory is made; it must be on the disk to be measured (default: the working directory)")
	b.format = config.BindChoice(c, "format", "", "how to print the report (bench: for benchstat)", "text", "json", "bench")
	b.files.bind(f)
	f.StringVar(&b.machine, "machine", "", "a name for this machine, to be kept in the report")
	f.BoolVarP(&b.quiet, "quiet", "q", false, "print nothing but the report")
}

// apply is called before a run, so that a wrong flag does not cost one.
func (b *benchFlags) apply(c *cobra.Command, args []string, o *bench.Common) error {
	if o.Server.URL != "" { // one that is started here says its token
		token, err := b.token.Get()
		if err != nil {
			return err
		}
		o.Server.Token = token
	}
	if err := b.files.check(); err != nil {
		return err
	}
	o.Round, o.BodyBytes = b.round, int(b.body)
	b.live = newLiveLine(c.ErrOrStderr())
	if !b.quiet {
		o.Log, o.Progress = slog.New(slog.NewTextHandler(b.live, nil)), b.live.show
	}
	o.Setting = benchSetting(b.environ, args, b.machine, o.Server.URL, b.data)
	o.Spawn = bench.Reexec{ServeArgs: append([]string{"serve"}, args...), DataParent: b.data}.Spawn
	return nil
}

var reportFormats = map[string]func(*bench.Report, io.Writer) error{
	"text":  (*bench.Report).WriteText,
	"json":  (*bench.Report).WriteJSON,
	"bench": (*bench.Report).WriteBenchmarks,
}

// write ends a run: it prints the report, also the one of a run that failed, if there is
// one, and writes it to the files that were named.
func (b *benchFlags) write(w io.Writer, r *bench.Report, err error) error {
	b.live.clear()
	if r == nil {
		return err
	}
	r.End()
	files := b.files
	if files.svg != "" && !r.HasRatios() {
		fmt.Fprintf(b.live, "No ratio was measured: %s was not written.\n", files.svg)
		files.svg = ""
	}
	return errors.Join(err, reportFormats[*b.format](r, w), files.write(r))
}
