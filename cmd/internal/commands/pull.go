package commands

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// newPull is the command queues pull: the queues of QUEUES.md, which share nothing but the word
// with the others.
func newPull(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "pull",
		Short: "Queues that consumers receive from, or that push to a webhook",
		Long: "Queues whose messages are JSON and go to no URL: consumers receive them under a lease and\n" +
			"acknowledge them, or the queue pushes them to its webhook. What fails too often goes to\n" +
			"the queue's dead letter queue, which is a queue like any other.",
	},
		newPullList(environ), newPullGet(environ), newPullSet(environ), newPullMetrics(environ),
		newPullSend(environ), newPullReceive(environ), newPullAck(environ), newPullRelease(environ),
		newPullPause(environ), newPullResume(environ), newPullPurge(environ), newPullRedrive(environ), newPullDelete(environ))
}

const (
	pullKind = "pull queue"
	pullPath = "/v1/queues/"
)

func newPullList(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List pull queues and how many messages they hold",
		Example: "  tidemill queues pull list",
		Args:    cobra.NoArgs,
	}
	limit := bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		return s.List(ctx, &client.Request{Path: "/v1/queues"}, client.Listing{Member: "queues"}, *limit,
			client.Text("NAME", "name"),
			paused("STATE", "paused"),
			client.Number("PENDING", "pending"),
			client.Number("IN FLIGHT", "in_flight"),
			client.Number("DELAYED", "delayed"),
			client.Text("DEAD LETTERS TO", "dead_letter_queue"),
			client.Text("WEBHOOK", "webhook_url"))
	})
}

// pullQueue are the columns of one queue (QUEUES.md, Queues). The secret is there when the server
// has made one up, and never again.
var pullQueue = []client.Column{
	client.Text("name", "name"),
	paused("state", "paused"),
	client.Number("pending", "pending"),
	client.Number("in flight", "in_flight"),
	client.Number("delayed", "delayed"),
	client.Text("dead letters to", "dead_letter_queue"),
	client.Number("max retries", "max_retries"),
	client.Cell("visibility", inSeconds("visibility_seconds")),
	client.Cell("retention", inSeconds("retention_seconds")),
	client.Cell("delay", inSeconds("delay_seconds")),
	client.Text("webhook", "webhook_url"),
	client.Text("max concurrency", "max_concurrency"),
	client.Cell("timeout", inSeconds("timeout_seconds")),
	client.Text("retry delay", "retry_delay"),
	client.Text("webhook secret", "webhook_secret"),
	client.Time("created", "created_at"),
	client.Time("changed", "updated_at"),
}

func newPullGet(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "get NAME",
		Short:   "Show a pull queue and its settings",
		Example: "  tidemill queues pull get jobs",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(pullKind, pullPath, args, "")
		if err != nil {
			return err
		}
		return s.One(ctx, r, pullQueue...)
	})
}

func newPullMetrics(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "metrics [NAME...]",
		Short:   "Show what pull queues hold, and counted since they were made",
		Example: "  tidemill queues pull metrics\n  tidemill queues pull metrics jobs -o json",
		Args:    cobra.ArbitraryArgs,
	}, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("NAME", args); err != nil {
			return err
		}
		raw, err := s.JSON(ctx, &client.Request{Path: "/v1/metrics", Query: url.Values{"queue": args}})
		if err != nil || !s.Out.Table() {
			return printed(s, raw, err)
		}
		return pullMetrics(s, raw)
	})
}

// pullMetrics prints a line for each queue of an answer that has them by name.
func pullMetrics(s *client.Session, raw []byte) error {
	answer, err := client.Parse(raw)
	if err != nil {
		return err
	}
	list := s.Out.List(
		client.Text("NAME", "name"),
		client.Number("PENDING", "pending"),
		client.Number("IN FLIGHT", "in_flight"),
		client.Number("DELAYED", "delayed"),
		client.Cell("OLDEST", inSeconds("oldest_age_seconds")).Right(),
		client.Number("PUBLISHED", "published"),
		client.Number("DELIVERED", "delivered"),
		client.Number("RETRIED", "retried"),
		client.Number("DEAD", "dead_lettered"),
		client.Number("EXPIRED", "expired"))
	queues := answer.Object("queues")
	for _, name := range sorted(queues) {
		q := queues.Object(name)
		q["name"] = client.Body(name)
		if err := list.Add(client.Body(q)); err != nil {
			return err
		}
	}
	return list.Close()
}

func newPullPause(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "pause NAME",
		Short:   "Stop handing out a pull queue's messages",
		Long:    "Stop handing out a pull queue's messages. Publishing goes on, and leases do.",
		Example: "  tidemill queues pull pause jobs",
		Args:    cobra.ExactArgs(1),
	}, post(pullKind, pullPath, "/pause", "Pull queue %s is paused."))
}

func newPullResume(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "resume NAME",
		Short:   "Go on with handing out a pull queue's messages",
		Example: "  tidemill queues pull resume jobs",
		Args:    cobra.ExactArgs(1),
	}, post(pullKind, pullPath, "/resume", "Pull queue %s goes on."))
}

func newPullPurge(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "purge NAME",
		Short:   "Delete all messages of a pull queue",
		Long:    "Delete all messages of a pull queue, which --yes says that you mean. The queue stays.",
		Example: "  tidemill queues pull purge jobs-dead --yes",
		Args:    cobra.ExactArgs(1),
	}
	yes := bindYes(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(pullKind, pullPath, args, "/purge")
		if err != nil {
			return err
		}
		if err := confirmed(*yes, "deletes all messages of the pull queue "+args[0]); err != nil {
			return err
		}
		r.Method = http.MethodPost
		return s.Change(ctx, r, func(answer client.Object) string {
			return count(answer.Int("purged"), "message") + " deleted."
		})
	})
}

func newPullRedrive(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "redrive NAME",
		Short: "Move messages to another pull queue, or from dead letters back",
		Long: "Move the messages that nobody has received to the queue of --to or, without it, each back\n" +
			"to the queue where it failed.",
		Example: "  tidemill queues pull redrive jobs-dead\n  tidemill queues pull redrive jobs --to jobs-slow --max 1000",
		Args:    cobra.ExactArgs(1),
	}
	to := c.Flags().String("to", "", "pull queue to move them to (default where each failed)")
	most := c.Flags().Int("max", 0, "at most so many, 0 for all")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(pullKind, pullPath, args, "/redrive")
		if err != nil {
			return err
		}
		body := map[string]any{}
		if c.Flags().Changed("to") {
			if err := named("--to", []string{*to}); err != nil {
				return err
			}
			body["to"] = *to
		}
		if *most != 0 {
			body["max"] = *most
		}
		r.Method, r.Body = http.MethodPost, client.Body(body)
		return s.Change(ctx, r, func(answer client.Object) string {
			return count(answer.Int("moved"), "message") + " moved."
		})
	})
}

func newPullDelete(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a pull queue with all messages in it",
		Long:    "Delete a pull queue with all messages in it, which --yes says that you mean.",
		Example: "  tidemill queues pull delete jobs --yes",
		Args:    cobra.ExactArgs(1),
	}
	yes := bindYes(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(pullKind, pullPath, args, "")
		if err != nil {
			return err
		}
		if err := confirmed(*yes, "deletes the pull queue "+args[0]+" with all messages in it"); err != nil {
			return err
		}
		r.Method = http.MethodDelete
		return s.Change(ctx, r, told("Pull queue %s was deleted.", args[0]))
	})
}

// inSeconds is a member in seconds as a duration, "" for 0.
func inSeconds(member string) func(client.Object) string {
	return func(o client.Object) string {
		text, _, _ := strings.Cut(o.Text(member), ".")
		if text == "" || text == "0" {
			return ""
		}
		return seconds(text)
	}
}
