package sink

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/limits"
)

// New is the command.
func New(environ []string) *cobra.Command {
	o := defaults()
	var body, keys string
	c := &cobra.Command{
		Use:   "sink",
		Short: "Receive messages: echo, fail, be slow, hang, reset, verify signatures",
		Long: "Receive what a server delivers, for trying it and for loading it. A request is answered with\n" +
			"200 and its own body, and printed on a line. A share of the requests can be failed, kept\n" +
			"waiting, never answered, or cut off.\n\n" +
			"What becomes of an attempt is drawn from --seed, Upstash-Message-Id and Upstash-Retried, so\n" +
			"it does not depend on the order of arrival. GET /stats tells the counters as JSON; SIGINT and\n" +
			"SIGTERM print them and end the command. \"duplicates\" are attempts of a message that was\n" +
			"answered with 2xx before.\n\n" +
			"Signatures are checked with the keys of the environment or of a file (--keys); they never\n" +
			"stand on the command line.",
		Example: "  tidemill sink --fail 10% --status 503 --retry-after 2\n" +
			"  tidemill sink --fail-first 2 --slow 200ms --slow-share 5% --hang 1% --reset 1%\n" +
			"  tidemill sink --verify --keys /var/lib/tidemill/credentials.toml\n" +
			"  tidemill serve --data d --destinations.allow 127.0.0.1:9000   # a server that may call it",
		Args: cobra.NoArgs,
	}
	bind(c.Flags(), o, &body, &keys)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.finish(c.Flags().Changed, body, keys, environ); err != nil {
			return err
		}
		ln, err := listen(o.listen)
		if err != nil {
			return err
		}
		return run(c.Context(), ln, o, c.OutOrStdout())
	}
	return c
}

func defaults() *options {
	return &options{
		listen: "127.0.0.1:9000",
		plan:   plan{seed: 1, slowShare: 1},
		status: 500,
		print:  choice{printLine, []string{printLine, printBody, printHeaders, printNone}},
		output: choice{"text", []string{"text", "json"}},

		connections: 4096,
		maxBody:     1 * config.MiB,
		window:      100_000,
	}
}

func bind(fs *pflag.FlagSet, o *options, body, keys *string) {
	fs.SortFlags = false
	fs.StringVar(&o.listen, "listen", o.listen, "address to receive at; port 0: one that is free")
	fs.Var(&o.plan.fail, "fail", "share of the requests to answer with --status")
	fs.IntVar(&o.plan.failFirst, "fail-first", 0, "answer so many first attempts of each message with --status")
	fs.Var(&o.status, "status", "status of what fails; without --fail and --fail-first of every answer")
	fs.StringVar(&o.retryAfter, "retry-after", "", "Retry-After of what fails: seconds, or a date")
	fs.Var((*config.DurationValue)(&o.plan.slow), "slow", "wait so long before the answer")
	fs.Var(&o.plan.slowShare, "slow-share", "share of the answers that --slow holds for")
	fs.Var(&o.plan.hang, "hang", "share of the requests to accept and never answer")
	fs.Var(&o.plan.reset, "reset", "share of the requests whose connection to reset")
	fs.Uint64Var(&o.plan.seed, "seed", o.plan.seed, "what the shares are drawn from")
	fs.StringVar(body, "body", "", "answer with this in place of the request's body")
	fs.Var(&o.headers, "header", "answer with this header; repeatable")
	fs.BoolVar(&o.verify, "verify", false, "check signatures, with the keys in $"+currentKey+" and $"+nextKey)
	fs.StringVar(keys, "keys", "", "check signatures, with the keys in this file: lines "+currentKey+"=…, as in a server's credentials.toml")
	fs.BoolVar(&o.refuse, "refuse", false, "check signatures, and answer 401 to what has no good one")
	fs.Var(&o.print, "print", "what is printed of a request; headers: and the body")
	fs.VarP(&o.output, "output", "o", "text, or json: a line for each request, and for the summary")
	fs.IntVar(&o.connections, "connections", o.connections, "connections at one time; above: 503")
	fs.Var((*config.SizeValue)(&o.maxBody), "max-body", "longest body; above: 413")
	fs.IntVar(&o.window, "window", o.window, "messages among which duplicates are found")
}

// finish judges what only the flags together can get wrong, and reads the keys.
func (o *options) finish(given func(string) bool, body, keys string, environ []string) (err error) {
	usage := func(format string, args ...any) error { return exit.With(exit.Usage, fmt.Errorf(format, args...)) }
	p := &o.plan
	switch {
	case p.fail+p.hang+p.reset > 1+1e-9:
		return usage("--fail %v, --hang %v and --reset %v are more than all requests: lower one", &p.fail, &p.hang, &p.reset)
	case p.failFirst < 0 || o.connections < 1 || o.window < 1 || o.maxBody < 1:
		return usage("--connections, --window and --max-body must be above zero, and --fail-first not below")
	case o.window > 100_000_000:
		return usage("--window %d is more than memory should be spent on: want at most 100000000", o.window)
	}
	if given("body") {
		o.body = &body
	}
	if given("status") && !given("fail") && !given("fail-first") {
		p.fail = 1 - p.hang - p.reset
	}
	if most := limits.OpenFiles(); most > 0 {
		o.connections = min(o.connections, int(max(most, 64))-32) // what the runtime and the output need
	}
	o.verify = o.verify || o.refuse || keys != ""
	if o.verify {
		o.keys, err = loadKeys(keys, environ)
	}
	return exit.With(exit.Config, err)
}

func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, exit.With(exit.Unavailable, fmt.Errorf("listen on %s: address already in use: stop what uses it, or choose another with --listen", addr))
	}
	if err != nil {
		return nil, exit.With(exit.Unavailable, fmt.Errorf("listen: %w: choose another address with --listen", err))
	}
	return ln, nil
}
