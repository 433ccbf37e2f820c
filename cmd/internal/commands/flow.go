package commands

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewFlow is the command flow.
func NewFlow(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "flow",
		Short: "Look at flow-control keys, pause them and pin their limits",
		Long: "Messages with the same flow-control key share a rate and a parallelism. The limits are\n" +
			"those of the newest message, unless they are pinned.",
	},
		newFlowList(environ), newFlowGet(environ), newFlowPause(environ), newFlowResume(environ),
		newFlowPin(environ), newFlowUnpin(environ), newFlowReset(environ), newFlowParallelism(environ))
}

// flowKey are the columns of a flow-control key (QSTASH.md §8.7).
var flowKey = []client.Column{
	client.Text("KEY", "flowControlKey"),
	paused("STATE", "isPaused"),
	client.Cell("PARALLELISM", used("parallelismCount", "parallelismMax", "isPinnedParallelism", "")),
	client.Cell("RATE", used("rateCount", "rateMax", "isPinnedRate", "ratePeriod")),
	client.Number("WAITING", "waitListSize"),
}

// used says how much of a limit is used, such as "3 of 10 in 60s, pinned"; nothing without a limit.
func used(count, most, pinned, period string) func(client.Object) string {
	return func(o client.Object) string {
		if o.Int(most) == 0 {
			return ""
		}
		text := fmt.Sprintf("%d of %d", o.Int(count), o.Int(most))
		if period != "" {
			text += fmt.Sprintf(" in %ds", o.Int(period))
		}
		if o.Bool(pinned) {
			text += ", pinned"
		}
		return text
	}
}

func newFlowList(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List flow-control keys, what they use of their limits, and who waits",
		Example: "  tidemill flow list\n  tidemill flow list --search tenant-",
		Args:    cobra.NoArgs,
	}
	search := c.Flags().String("search", "", "only keys that contain this text")
	limit := bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		r := &client.Request{Path: "/v2/flowControl"}
		if *search != "" {
			r.Query = url.Values{"search": {*search}}
		}
		return s.List(ctx, r, client.Listing{}, *limit, flowKey...)
	})
}

const (
	flowKind = "flow-control key"
	flowPath = "/v2/flowControl/"
)

func newFlowGet(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "get KEY",
		Short:   "Show one flow-control key",
		Example: "  tidemill flow get tenant-1",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(flowKind, flowPath, args, "")
		if err != nil {
			return err
		}
		return s.One(ctx, r, lower(flowKey)...)
	})
}

func newFlowPause(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "pause KEY",
		Short:   "Stop delivering the messages of a key",
		Long:    "Stop delivering the messages of a key. Publishing goes on, and attempts under way end.",
		Example: "  tidemill flow pause tenant-1",
		Args:    cobra.ExactArgs(1),
	}, post(flowKind, flowPath, "/pause", "Flow-control key %s is paused."))
}

func newFlowResume(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "resume KEY",
		Short:   "Go on with delivering the messages of a key",
		Example: "  tidemill flow resume tenant-1",
		Args:    cobra.ExactArgs(1),
	}, post(flowKind, flowPath, "/resume", "Flow-control key %s goes on."))
}

func newFlowPin(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "pin KEY",
		Short: "Set limits of a key that messages do not change",
		Long: "Set the rate, the parallelism or both of a key, whatever its messages say, until they are\n" +
			"unpinned. The present period of the rate begins anew.",
		Example: "  tidemill flow pin tenant-1 --parallelism 3\n  tidemill flow pin tenant-1 --rate 100 --period 1m",
		Args:    cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.Int("parallelism", 0, "attempts at one time")
	f.Int("rate", 0, "attempts that begin in a period")
	f.String("period", "", "period of the rate, such as 1s, 1m or 1d (default 1s)")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(flowKind, flowPath, args, "/pin")
		if err != nil {
			return err
		}
		r.Method, r.Query = http.MethodPost, url.Values{}
		for _, name := range []string{"parallelism", "rate", "period"} {
			if f.Changed(name) {
				r.Query.Set(name, f.Lookup(name).Value.String())
			}
		}
		return s.Change(ctx, r, told("The limits of flow-control key %s are pinned.", args[0]))
	})
}

func newFlowUnpin(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "unpin KEY",
		Short:   "Let the next message of a key set its limits again",
		Long:    "Let the next message of a key set its limits again: both, or the one that a flag names.",
		Example: "  tidemill flow unpin tenant-1\n  tidemill flow unpin tenant-1 --rate",
		Args:    cobra.ExactArgs(1),
	}
	parallelism := c.Flags().Bool("parallelism", false, "only the parallelism")
	rate := c.Flags().Bool("rate", false, "only the rate")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(flowKind, flowPath, args, "/unpin")
		if err != nil {
			return err
		}
		both := *parallelism == *rate
		r.Method, r.Query = http.MethodPost, url.Values{
			"parallelism": {strconv.FormatBool(both || *parallelism)}, "rate": {strconv.FormatBool(both || *rate)},
		}
		return s.Change(ctx, r, told("Flow-control key %s is unpinned.", args[0]))
	})
}

func newFlowReset(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "reset KEY",
		Short: "Forget what a key has used of its rate and parallelism",
		Long: "Forget what a key has used of its limits, so that messages that wait go on at once. More\n" +
			"than the limits say can then be under way or arrive in the period.",
		Example: "  tidemill flow reset tenant-1\n  tidemill flow reset tenant-1 --rate-only",
		Args:    cobra.ExactArgs(1),
	}
	rateOnly := c.Flags().Bool("rate-only", false, "keep what is used of the parallelism")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		operation := "/reset"
		if *rateOnly {
			operation = "/resetRate"
		}
		return post(flowKind, flowPath, operation, "Flow-control key %s was reset.")(ctx, s, args)
	})
}

func newFlowParallelism(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "parallelism",
		Short:   "Show how many attempts the whole server has in flight, and may have",
		Example: "  tidemill flow parallelism",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, s *client.Session, _ []string) error {
		return s.One(ctx, &client.Request{Path: "/v2/globalParallelism"},
			client.Number("in flight", "parallelismCount"), client.Number("at most", "parallelismMax"))
	})
}
