package commands

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewSchedules is the command schedules.
func NewSchedules(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "schedules",
		Short: "Make, look at, run, pause and delete schedules",
		Long: "A schedule publishes its message whenever its cron expression says. What an expression\n" +
			"means `tidemill cron next` tells without a server.",
	},
		newSchedulesList(environ), newSchedulesGet(environ), newSchedulesCreate(environ), newSchedulesPause(environ),
		newSchedulesResume(environ), newSchedulesRun(environ), newSchedulesPreview(environ), newSchedulesDelete(environ))
}

const (
	scheduleKind = "schedule"
	schedulePath = "/v2/schedules/"
)

func newSchedulesList(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List schedules and when they publish next",
		Example: "  tidemill schedules list\n  tidemill schedules list -o json | jq '.[] | select(.error)'",
		Args:    cobra.NoArgs,
	}
	limit := bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		return s.List(ctx, &client.Request{Path: "/v2/schedules"}, client.Listing{}, *limit,
			client.Text("ID", "scheduleId"),
			paused("STATE", "isPaused"),
			client.Text("CRON", "cron"),
			client.Relative("LAST", "lastScheduleTime"),
			client.Relative("NEXT", "nextScheduleTime"),
			client.Text("DESTINATION", "destination"),
			client.Text("ERROR", "error"))
	})
}

// schedule are the columns of one schedule (QSTASH.md §8.6).
var schedule = []client.Column{
	client.Text("id", "scheduleId"),
	paused("state", "isPaused"),
	client.Text("cron", "cron"),
	client.Text("destination", "destination"),
	client.Time("created", "createdAt"),
	client.Time("last", "lastScheduleTime"),
	client.Time("next", "nextScheduleTime"),
	client.Text("error", "error"),
	client.Text("rules", "tidemill"),
	client.Text("method", "method"),
	client.Cell("delay", inSeconds("delay")),
	client.Number("retries", "retries"),
	client.Text("retry delay", "retryDelayExpression"),
	client.Cell("timeout", inSeconds("timeout")),
	client.Text("queue", "queueName"),
	client.Text("flow key", "flowControlKey"),
	client.Words("labels", "labels"),
	client.Text("callback", "callback"),
	client.Text("failure callback", "failureCallback"),
	client.Text("last messages", "lastScheduleStates"),
	client.Text("header", "header"),
	client.Text("body", "body"),
	client.Text("body, base64", "bodyBase64"),
}

func newSchedulesGet(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "get ID",
		Short:   "Show a schedule with the message that it publishes",
		Example: "  tidemill schedules get scd_6cFVkbG8Vp5",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(scheduleKind, schedulePath, args, "")
		if err != nil {
			return err
		}
		return s.One(ctx, r, schedule...)
	})
}

// scheduleOptions are the flags of a schedule itself, with their headers (EXTENSIONS.md, Options of
// a schedule). The server judges the values.
var scheduleOptions = []struct{ flag, header, usage string }{
	{"id", "Upstash-Schedule-Id", "id of its own; one that is there is replaced"},
	{"dst", "Tidemill-Dst", "what a time means that the clock skips or repeats: fire-once, skip or both"},
	{"missed", "Tidemill-Missed", "what becomes of ticks while the server was down: latest, skip or all"},
	{"missed-max", "Tidemill-Missed-Max", "with --missed all: at most so many, the newest (default 100)"},
	{"missed-window", "Tidemill-Missed-Window", "what was missed longer ago is not caught up (default 1d)"},
	{"jitter", "Tidemill-Jitter", "publish later by up to this time, always the same for one schedule"},
}

func newSchedulesCreate(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "create URL|GROUP --cron EXPRESSION",
		Short: "Make a schedule, or replace the one with its --id",
		Long: "Make a schedule that publishes a message to a URL or a URL group, and print its id. The\n" +
			"options are those of `tidemill publish`, and are the options of each message.",
		Example: "  tidemill schedules create https://example.com/report --cron 'CRON_TZ=Europe/Berlin 30 2 * * *'\n" +
			"  tidemill schedules create newsletter --cron '0 8 * * 1' --id weekly -d '{\"issue\":\"next\"}' --retries 5",
		Args: cobra.ExactArgs(1),
	}
	opt, body := bindOptions(c), bindBody(c)
	f := c.Flags()
	cron := f.String("cron", "", "when, such as \"*/5 * * * *\"; CRON_TZ=Europe/Berlin before it for a zone other than UTC")
	seconds := f.Bool("seconds", false, "the expression begins with a field of seconds")
	for _, o := range scheduleOptions {
		f.String(o.flag, "", o.usage)
	}
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("URL|GROUP", args); err != nil {
			return err
		}
		if *cron == "" {
			return usage("when? Give --cron an expression such as \"*/5 * * * *\" (tidemill cron next shows what one means)")
		}
		h := http.Header{"Upstash-Cron": {*cron}}
		if *seconds {
			h.Set("Tidemill-Cron-Seconds", "true")
		}
		if err := setSchedule(c, h); err != nil {
			return err
		}
		if err := opt.set(h); err != nil {
			return err
		}
		b, err := body.read()
		if err != nil {
			return err
		}
		r := &client.Request{Method: http.MethodPost, Path: schedulePath + client.Escape(args[0]), Header: h, Body: b}
		return s.Change(ctx, r, func(answer client.Object) string { return answer.Text("scheduleId") })
	})
}

// setSchedule puts the options of the schedule itself into h.
func setSchedule(c *cobra.Command, h http.Header) error {
	for _, o := range scheduleOptions {
		if f := c.Flags().Lookup(o.flag); f.Changed {
			if err := named("--"+o.flag, []string{f.Value.String()}); err != nil {
				return err
			}
			h.Set(o.header, f.Value.String())
		}
	}
	return nil
}

func newSchedulesPause(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "pause ID",
		Short:   "Stop a schedule from publishing",
		Long:    "Stop a schedule from publishing. What would be published meanwhile is not caught up.",
		Example: "  tidemill schedules pause weekly",
		Args:    cobra.ExactArgs(1),
	}, post(scheduleKind, schedulePath, "/pause", "Schedule %s is paused."))
}

func newSchedulesResume(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "resume ID",
		Short:   "Let a schedule publish again",
		Example: "  tidemill schedules resume weekly",
		Args:    cobra.ExactArgs(1),
	}, post(scheduleKind, schedulePath, "/resume", "Schedule %s goes on."))
}

func newSchedulesRun(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:   "run ID",
		Short: "Publish a schedule's message once, now",
		Long: "Publish a schedule's message once, now, and print its id, or one for each endpoint of a URL\n" +
			"group. The schedule goes on as it would have, and one that is paused stays so.",
		Example: "  tidemill schedules run weekly",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(scheduleKind, schedulePath, args, "/run")
		if err != nil {
			return err
		}
		r.Method = http.MethodPost
		raw, err := s.JSON(ctx, r)
		if err != nil {
			return err
		}
		return tellReceipts(s, raw)
	})
}

func newSchedulesPreview(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "preview ID",
		Short: "List when a schedule publishes next",
		Long: "List when a schedule publishes next, with its jitter, in the zone of its expression. Days on\n" +
			"which the clock changes have a note.",
		Example: "  tidemill schedules preview weekly -n 3",
		Args:    cobra.ExactArgs(1),
	}
	n := c.Flags().IntP("count", "n", 10, "how many ticks to list, up to 1000")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(scheduleKind, schedulePath, args, "/next")
		if err != nil {
			return err
		}
		r.Query = url.Values{"n": {strconv.Itoa(*n)}}
		return s.List(ctx, r, client.Listing{Member: "next"}, 0,
			client.Text("LOCAL", "local"),
			client.Relative("FROM NOW", "time"),
			client.Cell("PUBLISHES", func(o client.Object) string {
				if o.Bool("skipped") {
					return "no"
				}
				return "yes"
			}),
			client.Text("NOTE", "note"))
	})
}

func newSchedulesDelete(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "delete ID",
		Short:   "Delete a schedule",
		Long:    "Delete a schedule. Messages that it has published are still delivered.",
		Example: "  tidemill schedules delete weekly",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(scheduleKind, schedulePath, args, "")
		if err != nil {
			return err
		}
		return remove(ctx, s, r, told("Schedule %s was deleted.", args[0]))
	})
}
