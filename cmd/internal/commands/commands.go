// Package commands is the part of the command line that talks to a running server: publish,
// messages, logs, dlq, and what else a client can ask of its API. Each command is one constructor,
// which the composition root registers; what they share is in package client.
package commands

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// group is a command that has only commands below it.
func group(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(below...)
	return c
}

// usage is an error of the command line.
func usage(format string, args ...any) error {
	return exit.With(exit.Usage, fmt.Errorf(format, args...))
}

// named refuses ids and names that are empty: an unset variable of a script would make another call.
func named(what string, ids []string) error {
	for _, id := range ids {
		if id == "" {
			return usage("%s is empty: an unset variable?", what)
		}
	}
	return nil
}

// bindYes defines --yes, which a call on everything that a filter selects asks for.
func bindYes(c *cobra.Command) *bool {
	return c.Flags().Bool("yes", false, "do it without naming each one")
}

// confirmed is nil if yes was given. does is what the command does: "deletes all messages".
func confirmed(yes bool, does string) error {
	if yes {
		return nil
	}
	return usage("this %s: say --yes if that is meant", does)
}

// bindLimit defines --limit, -n.
func bindLimit(c *cobra.Command, standard int) *int {
	n := standard
	c.Flags().VarP((*config.CountValue)(&n), "limit", "n", "at most so many, 0 for all")
	return &n
}

// texts is the value of a flag that may be repeated. A comma is part of a text.
type texts []string

func (v *texts) String() string     { return strings.Join(*v, ", ") }
func (v *texts) Type() string       { return "text" }
func (v *texts) Set(s string) error { *v = append(*v, s); return nil }

// count is a number with its noun: "1 message", "2 messages".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// message are the columns of a message and a dead letter (QSTASH.md §8.1, §8.3).
var message = []client.Column{
	client.Text("message", "messageId"),
	client.Text("url", "url"),
	client.Text("method", "method"),
	client.Time("created", "createdAt"),
	client.Time("not before", "notBefore"),
	client.Number("retries", "maxRetries"),
	client.Text("retry delay", "retryDelayExpression"),
	client.Text("queue", "queueName"),
	client.Text("group", "topicName"),
	client.Text("endpoint", "endpointName"),
	client.Text("schedule", "scheduleId"),
	client.Words("labels", "labels"),
	client.Text("flow key", "flowControlKey"),
	client.Text("callback", "callback"),
	client.Text("failure callback", "failureCallback"),
	client.Text("published from", "callerIP"),
	client.Text("header", "header"),
	client.Text("body", "body"),
	client.Text("body, base64", "bodyBase64"),
}
