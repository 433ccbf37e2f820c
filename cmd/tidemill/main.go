// Command tidemill is a durable HTTP message queue and scheduler in one binary.
//
//	tidemill dev                               try it: published test users, temporary data
//	tidemill serve --data DIR --listen ADDR    run it: own token and keys, public destinations only
//	tidemill config show|check|example         its settings, where they come from, what is wrong
//	tidemill publish|messages|logs|dlq|replay  talk to it, with QSTASH_URL and QSTASH_TOKEN
//	tidemill backup --to X, restore --from X   copy a running server, and back
//	tidemill export                            messages, dead letters, schedules and accounts as NDJSON
//	tidemill wal dump|verify|repair            look at the log, check it, repair it
//	tidemill top, stats, hosts                 what a running server does
//	tidemill queues|groups|schedules|flow|keys manage what it has
//	tidemill cron next "EXPRESSION"            when a schedule would publish
//	tidemill bench publish|deliver|delayed     measure it; compare and report: look at what was measured
//	tidemill profile cpu|heap|mutex|trace|...  what a running server does
//	tidemill sink                              receive messages, and fail as told
//
// This package is the composition root: it reads the configuration, builds
// engine, dispatch and httpapi from it, and starts and stops them in order. No
// rule of a message's life lives here.
//
// Names are looked up by Go's resolver, in a build with cgo as well: the C library's
// reads 2130706433 and 0x7f.1 as addresses.
//
//go:debug netdns=go
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/about"
	"github.com/tidemill/tidemill/cmd/internal/commands"
	"github.com/tidemill/tidemill/cmd/internal/doctor"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/quiet"
	"github.com/tidemill/tidemill/cmd/internal/sink"
	"github.com/tidemill/tidemill/cmd/internal/systemd"
)

func main() {
	quiet.Restore()
	keepPrivate()
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is main with its surroundings passed in. It returns the exit status.
func run(args, environ []string, stdout, stderr io.Writer) int {
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ctx, stop := untilSignal(context.Background(), stderr)
	defer stop()
	if err := classified(root.ExecuteContext(ctx)); err != nil {
		var told *toldError
		if !errors.As(err, &told) {
			fmt.Fprintln(stderr, "tidemill:", err)
		}
		return int(exit.Of(err))
	}
	return 0
}

// toldError is an error that was printed or logged where it happened.
type toldError struct{ error }

func (e *toldError) Unwrap() error { return e.error }

func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "tidemill",
		Short: "A durable HTTP message queue and scheduler",
		Long: "Tidemill keeps a message in its log, calls its destination now or later, retries\n" +
			"until it answers 2xx, and keeps what failed in a dead letter queue.\n" +
			"It speaks the QStash wire contract.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return exit.With(exit.Usage, fmt.Errorf("%w\nRun `%s --help` for the flags and their values", err, c.CommandPath()))
	})
	root.AddCommand(
		newDev(environ),
		newServe(environ),
		newConfig(environ),
		newBackup(environ),
		newRestore(environ),
		newExport(environ),
		commands.NewPublish(environ),
		commands.NewMessages(environ),
		commands.NewLogs(environ),
		commands.NewDLQ(environ),
		commands.NewReplay(environ),
		commands.NewQueues(environ),
		commands.NewGroups(environ),
		commands.NewSchedules(environ),
		commands.NewFlow(environ),
		commands.NewKeys(environ),
		commands.NewStats(environ),
		commands.NewHosts(environ),
		newTop(environ),
		newEnv(environ),
		newUser(environ),
		newToken(environ),
		newReload(environ),
		newWal(environ),
		newCron(),
		newBench(environ),
		newProfile(environ),
		sink.New(environ),
		doctor.New(environ, loadRoots),
		systemd.NewCommand(),
		about.NewMan(),
		about.NewVersion(),
	)
	refuseArgs(root)
	return root
}

// refuseArgs gives the errors of arguments that are missing or too many, and of flags that exclude
// each other, their exit status, in c and below.
func refuseArgs(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	c.Args = func(c *cobra.Command, args []string) error {
		err := check(c, args)
		if err != nil && len(args) > 0 && !c.HasSubCommands() && check(c, nil) == nil {
			err = fmt.Errorf("this command takes no argument, and %q is one", args[0]) // cobra's: unknown command
		}
		if err == nil {
			err = c.ValidateFlagGroups()
		}
		if err != nil {
			err = exit.With(exit.Usage, fmt.Errorf("%w\nRun `%s --help` for what it takes", err, c.CommandPath()))
		}
		return err
	}
	for _, below := range c.Commands() {
		refuseArgs(below)
	}
}
