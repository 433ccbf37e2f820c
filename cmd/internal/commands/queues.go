package commands

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewQueues is the command queues.
func NewQueues(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "queues",
		Short: "Make, look at, pause and delete queues",
		Long: "Queues deliver their messages in the order of publishing, as many at a time as their\n" +
			"parallelism says. Queues that consumers receive from are those of `tidemill queues pull`.",
	},
		newQueuesList(environ), newQueuesGet(environ), newQueuesSet(environ),
		newQueuesPause(environ), newQueuesResume(environ), newQueuesDelete(environ), newPull(environ))
}

// queue are the columns of a queue (QSTASH.md §8.4).
var queue = []client.Column{
	client.Text("NAME", "name"),
	paused("STATE", "paused"),
	client.Number("PARALLELISM", "parallelism"),
	client.Number("WAITING", "lag"),
	client.Time("CREATED", "createdAt"),
	client.Time("CHANGED", "updatedAt"),
}

// paused is a column of a thing that can be paused.
func paused(title, member string) client.Column {
	return client.Cell(title, func(o client.Object) string {
		if o.Bool(member) {
			return "paused"
		}
		return "running"
	}).Colored()
}

// lower makes the columns of a list those of one thing, whose titles are in lower case.
func lower(cols []client.Column) []client.Column {
	out := slices.Clone(cols)
	for i := range out {
		out[i].Title = strings.ToLower(out[i].Title)
	}
	return out
}

func newQueuesList(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List queues and how many messages they hold",
		Example: "  tidemill queues list\n  tidemill queues list -o json",
		Args:    cobra.NoArgs,
	}
	limit := bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		return s.List(ctx, &client.Request{Path: "/v2/queues"}, client.Listing{}, *limit, queue...)
	})
}

func newQueuesGet(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "get NAME",
		Short:   "Show one queue",
		Example: "  tidemill queues get orders",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf("queue", "/v2/queues/", args, "")
		if err != nil {
			return err
		}
		return s.One(ctx, r, lower(queue)...)
	})
}

func newQueuesSet(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Make a queue, or change its parallelism",
		Long: "Make a queue, or change its parallelism: how many of its messages are delivered at a time.\n" +
			"With 1 they are delivered strictly one after the other.",
		Example: "  tidemill queues set orders --parallelism 5",
		Args:    cobra.ExactArgs(1),
	}
	parallelism := c.Flags().Int("parallelism", 1, "messages that are delivered at a time")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("NAME", args); err != nil {
			return err
		}
		r := &client.Request{
			Method: http.MethodPost, Path: "/v2/queues", Of: "queue " + args[0],
			Body: client.Body(map[string]any{"queueName": args[0], "parallelism": *parallelism}),
		}
		return s.Change(ctx, r, told("Queue %s delivers %s at a time.", args[0], count(int64(*parallelism), "message")))
	})
}

func newQueuesPause(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "pause NAME",
		Short:   "Stop delivering a queue's messages",
		Long:    "Stop delivering a queue's messages. Publishing goes on, and attempts under way end.",
		Example: "  tidemill queues pause orders",
		Args:    cobra.ExactArgs(1),
	}, post("queue", "/v2/queues/", "/pause", "Queue %s is paused."))
}

func newQueuesResume(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "resume NAME",
		Short:   "Go on with delivering a queue's messages",
		Example: "  tidemill queues resume orders",
		Args:    cobra.ExactArgs(1),
	}, post("queue", "/v2/queues/", "/resume", "Queue %s goes on."))
}

func newQueuesDelete(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a queue with all messages in it",
		Long:    "Delete a queue. The messages that are in it are canceled, which --yes says that you mean.",
		Example: "  tidemill queues delete orders --yes",
		Args:    cobra.ExactArgs(1),
	}
	yes := bindYes(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf("queue", "/v2/queues/", args, "")
		if err != nil {
			return err
		}
		if err := confirmed(*yes, "cancels all messages of the queue "+args[0]); err != nil {
			return err
		}
		return remove(ctx, s, r, told("Queue %s was deleted.", args[0]))
	})
}
