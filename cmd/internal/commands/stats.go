package commands

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewStats is the command stats.
func NewStats(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "stats",
		Short: "Count what happened to messages in a time",
		Long: "Count what happened to the account's messages, in the last hour or from --from to --to, 32\n" +
			"days at most; with --points, in each second, minute or longer of it. Latency is from when\n" +
			"the attempt that delivered was due to its end, lateness from when any was due to its start.",
		Example: "  tidemill stats\n" +
			"  tidemill stats --from 1d --points\n" +
			"  tidemill stats --from 2026-03-29 --to 2026-03-30 -o json",
		Args: cobra.NoArgs,
	}
	var from, to client.Moment
	c.Flags().Var(&from, "from", "beginning, such as 15m (ago), 2026-03-29 or 2026-03-29T08:00:00Z (default an hour before the end)")
	c.Flags().Var(&to, "to", "end (default now)")
	points := c.Flags().Bool("points", false, "list the points in which something happened")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		r := &client.Request{Path: "/v2/stats", Query: url.Values{}}
		if !from.IsZero() {
			r.Query.Set("from", from.Millis())
		}
		if !to.IsZero() {
			r.Query.Set("to", to.Millis())
		}
		if *points {
			return s.List(ctx, r, client.Listing{Member: "points"}, 0, statsPoint...)
		}
		return s.One(ctx, r, statsTotal...)
	})
}

// statsTotal are the columns of an answer's sums (EXTENSIONS.md, Statistics).
var statsTotal = []client.Column{
	client.Time("from", "from"),
	client.Time("to", "to"),
	total("published"), total("delivered"), total("retried"), total("failed"), total("canceled"),
	client.Number("backlog", "backlog"),
	client.Cell("latency", quantiles("latencyMillis")),
	client.Cell("lateness", quantiles("latenessMillis")),
}

func total(member string) client.Column {
	return client.Cell(member, func(o client.Object) string {
		return strconv.FormatInt(o.Object("total").Int(member), 10)
	})
}

func quantiles(member string) func(client.Object) string {
	return func(o client.Object) string {
		q := o.Object("total").Object(member)
		if q == nil {
			return ""
		}
		return fmt.Sprintf("p50 %d ms, p90 %d ms, p99 %d ms, max %d ms", q.Int("p50"), q.Int("p90"), q.Int("p99"), q.Int("max"))
	}
}

var statsPoint = []client.Column{
	client.Time("TIME", "time"),
	client.Number("PUBLISHED", "published"),
	client.Number("DELIVERED", "delivered"),
	client.Number("RETRIED", "retried"),
	client.Number("FAILED", "failed"),
	client.Number("CANCELED", "canceled"),
	client.Number("BACKLOG", "backlog"),
	client.Cell("LATENCY P99", p99("latencyMillis")).Right(),
	client.Cell("LATENESS P99", p99("latenessMillis")).Right(),
}

func p99(member string) func(client.Object) string {
	return func(o client.Object) string {
		q := o.Object(member)
		if q == nil {
			return ""
		}
		return q.Text("p99") + " ms"
	}
}

// NewHosts is the command hosts.
func NewHosts(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "hosts",
		Short: "List the hosts that messages go to, those first that do not answer",
		Long: "List the hosts that the account's messages go to and that have some in memory: due within a\n" +
			"minute, waiting or in flight. A host that gave no response eight times in a row is half-open:\n" +
			"it is probed by one attempt at a time until it answers. `tidemill top` shows all accounts'.",
		Example: "  tidemill hosts\n  tidemill hosts -o json | jq '.[] | select(.halfOpen)'",
		Args:    cobra.NoArgs,
	}
	limit := bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		return s.List(ctx, &client.Request{Path: "/v2/hosts"}, client.Listing{}, *limit,
			client.Text("HOST", "host"),
			client.Cell("STATE", func(o client.Object) string {
				if o.Bool("halfOpen") {
					return "half-open"
				}
				return "-" // open would be the word for the opposite: a circuit's
			}),
			client.Number("IN FLIGHT", "inFlight"),
			client.Number("MESSAGES", "messages"),
			client.Relative("NEXT PROBE", "nextProbe"))
	})
}
