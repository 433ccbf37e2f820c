package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// replayJob are the columns of a replay (EXTENSIONS.md, "Replaying delivered messages").
var replayJob = []client.Column{
	client.Text("JOB", "jobId"),
	client.Text("STATE", "state").Colored(),
	client.Number("MATCHED", "matched"),
	client.Number("REPLAYED", "replayed"),
	client.Number("EXPIRED", "expired"),
	client.Number("FAILED", "failed"),
	client.Text("RATE", "rate").Right(),
	client.Time("CREATED", "createdAt"),
	client.Time("POSITION", "position"),
	client.Text("DESTINATION", "destination"),
	client.Text("ERROR", "error"),
}

// replayPoll is how often a wait asks how far a replay is.
const replayPoll = 500 * time.Millisecond

// NewReplay is the command replay.
func NewReplay(environ []string) *cobra.Command {
	return group(
		&cobra.Command{
			Use:   "replay",
			Short: "Publish delivered messages once more",
			Long: "Publish messages that were delivered once more, as a job of the server. Bodies of delivered\n" +
				"messages are kept as long as retention.bodies says; what is no longer kept counts as expired.",
		},
		newReplayStart(environ),
		newReplayGet(environ),
		client.Command(environ, &cobra.Command{
			Use: "list", Aliases: []string{"ls"}, Short: "List replays, the newest first", Args: cobra.NoArgs,
			Example: "  tidemill replay list",
		}, func(ctx context.Context, s *client.Session, _ []string) error {
			return s.List(ctx, &client.Request{Path: "/v2/replay"}, client.Listing{}, 0, replayJob...)
		}),
		client.Command(environ, &cobra.Command{
			Use: "stop JOB", Short: "Stop a replay for good; what it has published stays", Args: cobra.ExactArgs(1),
			Example: "  tidemill replay stop rpl_LpTbVoqffoX",
		}, func(ctx context.Context, s *client.Session, args []string) error {
			r, err := replayRequest(http.MethodDelete, args)
			if err != nil {
				return err
			}
			return s.Change(ctx, r, func(client.Object) string { return "replay " + args[0] + " stopped" })
		}),
	)
}

func replayRequest(method string, args []string) (*client.Request, error) {
	return &client.Request{Method: method, Path: "/v2/replay/" + client.Escape(args[0]), Of: "replay " + args[0]}, named("JOB", args)
}

func newReplayStart(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "start FILTERS",
		Short: "Begin a replay of what the filters select, and print its id",
		Long: "Begin a replay of the messages that the filters select, in the order in which they were\n" +
			"delivered; at least one filter is needed. Each becomes a new message. With --wait the command\n" +
			"tells how far the replay is, and ends with it.",
		Example: "  tidemill replay start --label orders --from 2h --to 1h --rate 50 --wait\n" +
			"  tidemill replay start --host old.example.com --destination https://new.example.com/hook",
		Args: cobra.NoArgs,
	}
	f := bindFilters(c, "delivered", "state", "status")
	rate := c.Flags().Int("rate", 0, "messages a second (default 100)")
	destination := c.Flags().String("destination", "", "send them to this URL instead")
	wait := bindWait(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		q, err := f.query()
		if err != nil {
			return err
		}
		raw, err := s.JSON(ctx, &client.Request{Method: http.MethodPost, Path: "/v2/replay", Body: replayBody(q, *rate, *destination)})
		if err != nil {
			return err
		}
		job, err := client.Parse(raw)
		if err != nil || *wait {
			return waitReplay(ctx, s, job.Text("jobId"), err)
		}
		return s.Out.Told(raw, func(client.Object) string { return job.Text("jobId") })
	})
}

// replayBody is the object that a replay is made of.
func replayBody(q url.Values, rate int, destination string) []byte {
	body := map[string]any{}
	for name, values := range q {
		if body[name] = values; len(values) == 1 { // a time must not be a list
			body[name] = values[0]
		}
	}
	if rate != 0 {
		body["rate"] = rate
	}
	if destination != "" {
		body["destination"] = destination
	}
	return client.Body(body)
}

func newReplayGet(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "get JOB",
		Short:   "Show how far a replay is",
		Example: "  tidemill replay get rpl_LpTbVoqffoX --wait",
		Args:    cobra.ExactArgs(1),
	}
	wait := bindWait(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := replayRequest("", args)
		if err != nil || *wait {
			return waitReplay(ctx, s, args[0], err)
		}
		return s.One(ctx, r, replayJob...)
	})
}

func bindWait(c *cobra.Command) *bool {
	return c.Flags().Bool("wait", false, "until the replay ends; status 1 if it fails or is stopped")
}

// waitReplay tells on standard error how far a replay is until it ends, and then prints it.
func waitReplay(ctx context.Context, s *client.Session, id string, err error) error {
	if err != nil {
		return err
	}
	tick := time.NewTicker(replayPoll)
	defer tick.Stop()
	for told := ""; ; {
		raw, err := s.JSON(ctx, &client.Request{Path: "/v2/replay/" + client.Escape(id), Of: "replay " + id})
		if err != nil {
			return err
		}
		job, err := client.Parse(raw)
		if err != nil {
			return err
		}
		if job.Text("state") != "running" {
			return endReplay(s, raw, job)
		}
		if now := fmt.Sprintf("%d matched, %d replayed", job.Int("matched"), job.Int("replayed")); now != told {
			told = now
			fmt.Fprintln(s.Err, now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("interrupted; the replay goes on: tidemill replay get %s", id)
		}
	}
}

func endReplay(s *client.Session, raw json.RawMessage, job client.Object) error {
	if err := s.Out.One(raw, replayJob...); err != nil {
		return err
	}
	if state := job.Text("state"); state != "done" {
		return fmt.Errorf("the replay is %s", state)
	}
	return nil
}
