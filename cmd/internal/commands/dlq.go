package commands

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// Bounds of the calls on dead letters (EXTENSIONS.md).
const (
	deadPage      = 100 // of a list, and of one call by filters
	deadRetryIDs  = 100
	deadDeleteIDs = 1000
)

// notOfDead are the filters that dead letters have not.
var notOfDead = []string{"state", "host", "path"}

// NewDLQ is the command dlq.
func NewDLQ(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "dlq",
		Short: "Look at dead letters, retry and delete them",
		Long: "Look at dead letters: messages that failed for good, with what their destinations answered\n" +
			"last. Retry them, which publishes them again, or delete them.",
	}, newDLQList(environ), newDLQGet(environ), newDLQRetry(environ), newDLQDelete(environ))
}

func newDLQList(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List dead letters",
		Example: "  tidemill dlq list --queue orders --status 503\n" +
			"  tidemill dlq list --from 1d -o ndjson | jq -r .dlqId",
		Args: cobra.NoArgs,
	}
	f := bindFilters(c, "failed", notOfDead...)
	order, limit := bindOrder(c, "earliest", "latest"), bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		q, err := f.query()
		if err != nil {
			return err
		}
		q.Set("order", *order+"First")
		return s.List(ctx, &client.Request{Path: "/v2/dlq", Query: q}, client.Listing{Member: "messages", Page: deadPage}, *limit,
			client.Text("ID", "dlqId"),
			client.Time("PUBLISHED", "createdAt"),
			client.Text("MESSAGE", "messageId"),
			client.Text("STATUS", "responseStatus").Right(),
			client.Text("QUEUE", "queueName"),
			client.Text("URL", "url"),
			client.Cell("ANSWER", deadAnswer),
		)
	})
}

// deadAnswer is why it failed: the error, else what the destination said.
func deadAnswer(o client.Object) string {
	if e := o.Text("error"); e != "" {
		return e
	}
	return o.Text("responseBody")
}

func newDLQGet(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "get ID",
		Short:   "Show a dead letter, its body and the last answer",
		Example: "  tidemill dlq get 1725323658779-0",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("ID", args); err != nil {
			return err
		}
		cols := slices.Concat([]client.Column{client.Text("id", "dlqId")}, message, []client.Column{
			client.Text("response status", "responseStatus"),
			client.Text("response header", "responseHeader"),
			client.Text("response body", "responseBody"),
			client.Text("response body, base64", "responseBodyBase64"),
			client.Text("error", "error"),
		})
		return s.One(ctx, &client.Request{Path: "/v2/dlq/" + client.Escape(args[0]), Of: "dead letter " + args[0]}, cols...)
	})
}

func newDLQDelete(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "delete ID... | --all | FILTERS",
		Args:  cobra.ArbitraryArgs,
		Short: "Delete dead letters, by their ids or by filters",
		Long: "Delete dead letters: those with the ids, or all that the filters select. By several ids,\n" +
			"one that is not there is no failure. With filters --yes says that you mean it.",
		Example: "  tidemill dlq delete 1725323658779-0\n" +
			"  tidemill dlq delete --to 7d --yes",
	}
	pick := bindPick(c, "dead letters", "failed", notOfDead...)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		q, err := pick.selected(args, "deletes all dead letters that match")
		switch {
		case err != nil:
			return err
		case len(args) == 1:
			r := &client.Request{Method: http.MethodDelete, Path: "/v2/dlq/" + client.Escape(args[0]), Of: "dead letter " + args[0]}
			return s.Change(ctx, r, func(client.Object) string { return "1 dead letter deleted" })
		}
		total := int64(0)
		r := client.Request{Method: http.MethodDelete, Path: "/v2/dlq"}
		err = deadPages(ctx, s, r, q, args, deadDeleteIDs, func(answer client.Object) error {
			total += answer.Int("deleted")
			return nil
		})
		if err != nil {
			return after(total, "deleted", err)
		}
		return s.Out.Told(client.Body(map[string]int64{"deleted": total}), func(client.Object) string {
			return count(total, "dead letter") + " deleted"
		})
	})
}

// deadPages makes a call on the dead letters with ids, so many at a time, or on all that q selects,
// page by page, and calls fn with each answer.
func deadPages(ctx context.Context, s *client.Session, r client.Request, q url.Values, ids []string, most int, fn func(answer client.Object) error) error {
	for part := range slices.Chunk(ids, most) {
		r.Body = client.Body(map[string][]string{"dlqIds": part})
		if _, err := deadCall(ctx, s, &r, fn); err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		return nil
	}
	q.Set("count", strconv.Itoa(deadPage))
	r.Query = q
	for {
		cursor, err := deadCall(ctx, s, &r, fn)
		if err != nil || cursor == "" {
			return err
		}
		q.Set("cursor", cursor)
	}
}

func deadCall(ctx context.Context, s *client.Session, r *client.Request, fn func(answer client.Object) error) (cursor string, err error) {
	raw, err := s.JSON(ctx, r)
	if err != nil {
		return "", err
	}
	answer, err := client.Parse(raw)
	if err != nil {
		return "", err
	}
	return answer.Text("cursor"), fn(answer)
}
