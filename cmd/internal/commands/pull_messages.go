package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func newPullSend(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "send NAME",
		Short: "Publish a message to a pull queue",
		Long: "Publish a JSON value to a pull queue, which is made if it is not there, and print the\n" +
			"message's id.",
		Example: "  tidemill queues pull send jobs -d '{\"job\":1}' --group customer-7\n" +
			"  jq -c .order order.json | tidemill queues pull send jobs --body-file -",
		Args: cobra.ExactArgs(1),
	}
	body := bindBody(c)
	var wait secondsFlag
	c.Flags().Var(&wait, "delay", "it cannot be received before this time (default the queue's)")
	c.Flags().String("group", "", "messages of one group are handed out in order, one at a time")
	c.Flags().String("idempotency-key", "", "a second message with this key is not published")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("NAME", args); err != nil {
			return err
		}
		text, err := body.read()
		if err != nil {
			return err
		}
		if !json.Valid(text) {
			return usage("the message is no JSON value: give one with --body or --body-file, a text in double quotes")
		}
		around := map[string]any{"queue": args[0]}
		wait.put(around, "delay_seconds")
		for flag, member := range map[string]string{"group": "group", "idempotency-key": "idempotency_key"} {
			if f := c.Flags().Lookup(flag); f.Changed {
				if err := named("--"+flag, []string{f.Value.String()}); err != nil {
					return err
				}
				around[member] = f.Value.String()
			}
		}
		r := &client.Request{Method: http.MethodPost, Path: "/v1/publish", Of: pullKind + " " + args[0], Body: withMessage(around, text)}
		return s.Change(ctx, r, func(answer client.Object) string { return answer.Text("message_id") })
	})
}

// withMessage puts a message into the JSON around it as it is: the server keeps its bytes, and an
// encoder would change them.
func withMessage(around map[string]any, message []byte) []byte {
	rest := client.Body(around)
	out := append([]byte(`{"message":`), message...)
	return append(append(out, ','), rest[1:]...)
}

func newPullReceive(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "receive NAME",
		Short: "Receive messages from a pull queue and print them",
		Long: "Receive messages from a pull queue and print them. With --ack they are acknowledged when\n" +
			"they have been printed. Without it nobody else gets them until their lease runs out, which\n" +
			"counts as a failed attempt: `tidemill queues pull ack` ends them before, and `release`\n" +
			"gives them back.",
		Example: "  tidemill queues pull receive jobs --ack -o ndjson | jq -c .message\n" +
			"  tidemill queues pull receive jobs-dead -n 10 --visibility 5m",
		Args: cobra.ExactArgs(1),
	}
	var wait, visibility secondsFlag
	most := c.Flags().IntP("limit", "n", 1, "at most so many, up to 100")
	c.Flags().Var(&wait, "wait", "how long to wait for the first one, up to 20s (default 0)")
	c.Flags().Var(&visibility, "visibility", "how long nobody else gets them (default the queue's)")
	ack := c.Flags().Bool("ack", false, "acknowledge them when they have been printed")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(pullKind, pullPath, args, "/receive")
		if err != nil {
			return err
		}
		body := map[string]any{"max_messages": *most}
		wait.put(body, "wait_seconds")
		visibility.put(body, "visibility_seconds")
		r.Method, r.Body = http.MethodPost, client.Body(body)
		leases, err := printReceived(ctx, s, r)
		if err != nil || !*ack || len(leases) == 0 {
			return err
		}
		_, err = settle(ctx, s, args[0], map[string]any{"acks": leases})
		return err
	})
}

// lease is how the API names one.
type lease struct {
	ID    string   `json:"lease_id"`
	Delay *float64 `json:"delay_seconds,omitempty"`
}

func leasesOf(ids []string) (out []lease) {
	for _, id := range ids {
		out = append(out, lease{ID: id})
	}
	return out
}

// printReceived prints what r receives, and returns the leases. They are all of messages that were
// printed.
func printReceived(ctx context.Context, s *client.Session, r *client.Request) (leases []lease, err error) {
	list := s.Out.List(
		client.Text("MESSAGE", "message_id"),
		client.Text("LEASE", "lease_id"),
		client.Time("UNTIL", "visible_at"),
		client.Number("ATTEMPTS", "attempts"),
		client.Text("GROUP", "group"),
		client.Cell("FAILED IN", func(o client.Object) string { return o.Object("dead_letter").Text("source_queue") }),
		client.Text("BODY", "message"))
	err = s.Each(ctx, r, client.Listing{Member: "messages"}, 0, func(raw json.RawMessage) error {
		m, err := client.Parse(raw)
		if err != nil {
			return err
		}
		leases = append(leases, lease{ID: m.Text("lease_id")})
		return list.Add(raw)
	})
	if err != nil {
		list.Abandon()
		return nil, err
	}
	return leases, list.Close()
}

// settle ends leases one way or the other. It fails if that did not go for all of them.
func settle(ctx context.Context, s *client.Session, queue string, body map[string]any) (json.RawMessage, error) {
	raw, err := s.JSON(ctx, &client.Request{
		Method: http.MethodPost, Path: pullPath + client.Escape(queue) + "/ack", Of: pullKind + " " + queue, Body: client.Body(body),
	})
	if err != nil {
		return nil, err
	}
	answer, err := client.Parse(raw)
	if err != nil {
		return nil, err
	}
	warnings := answer.List("warnings")
	for _, w := range warnings {
		fmt.Fprintln(s.Err, client.Object{"": w}.Text(""))
	}
	if len(warnings) > 0 {
		err = exit.With(exit.NoInput, fmt.Errorf("%s was no more: its message may be received again", count(int64(len(warnings)), "lease")))
	}
	return raw, err
}

func newPullAck(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "ack NAME LEASE...",
		Short:   "Acknowledge messages that were received: they are done",
		Example: "  tidemill queues pull ack jobs lse_4Yxv1mNfA3c",
		Args:    cobra.MinimumNArgs(2),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("NAME or LEASE", args); err != nil {
			return err
		}
		raw, err := settle(ctx, s, args[0], map[string]any{"acks": leasesOf(args[1:])})
		return settled(s, raw, err, "ack_count", "acknowledged")
	})
}

func newPullRelease(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "release NAME LEASE...",
		Short: "Give messages back that were received",
		Long:  "Give messages back that were received: others can receive them. The attempt counts as failed.",
		Example: "  tidemill queues pull release jobs lse_4Yxv1mNfA3c\n" +
			"  tidemill queues pull release jobs lse_4Yxv1mNfA3c --delay 10m",
		Args: cobra.MinimumNArgs(2),
	}
	var wait secondsFlag
	c.Flags().Var(&wait, "delay", "they cannot be received before this time, up to 12h (default 0)")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("NAME or LEASE", args); err != nil {
			return err
		}
		leases := leasesOf(args[1:])
		if wait.d != nil {
			after := wait.d.Seconds()
			for i := range leases {
				leases[i].Delay = &after
			}
		}
		raw, err := settle(ctx, s, args[0], map[string]any{"retries": leases})
		return settled(s, raw, err, "retry_count", "given back")
	})
}

// settled tells how many leases were settled, also where others were not.
func settled(s *client.Session, raw json.RawMessage, err error, member, verb string) error {
	if raw == nil {
		return err
	}
	if tellErr := s.Out.Told(raw, func(answer client.Object) string {
		return count(answer.Int(member), "message") + " " + verb + "."
	}); err == nil {
		err = tellErr
	}
	return err
}
