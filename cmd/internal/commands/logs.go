package commands

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

// event are the columns of an entry of history (QSTASH.md §8.2).
var event = []client.Column{
	client.Time("TIME", "time"),
	client.Text("STATE", "state").Colored().AtLeast(len("DELIVERED")),
	client.Text("MESSAGE", "messageId"),
	client.Cell("ATTEMPT", func(o client.Object) string { return o.Object("tidemill").Text("attempt") }).Right(),
	client.Text("STATUS", "responseStatus").Right(),
	client.Text("URL", "url"),
	client.Cell("NOTE", eventNote),
}

// eventNote is what went wrong, and when the message is next tried.
func eventNote(o client.Object) string {
	note := o.Text("error")
	if next := o.Time("nextDeliveryTime"); !next.IsZero() {
		if note != "" {
			note += "; "
		}
		note += "next at " + client.Stamp(next)
	}
	return note
}

// eventPage is the largest page of GET /v2/events.
var eventPage = client.Listing{Member: "events", Page: 1000}

// NewLogs is the command logs.
func NewLogs(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "logs",
		Short: "What happened to messages",
		Long: "List what happened to messages, the latest first. Filters of one flag are alternatives,\n" +
			"different flags all apply. Bodies and headers are in -o json.",
		Example: "  tidemill logs --from 15m --state FAILED\n" +
			"  tidemill logs --queue orders --label paid --order earliest --limit 20\n" +
			"  tidemill logs --message-id msg_26hZCxZCuWyyTWPmSVBrNB882AH -o json",
		Args: cobra.NoArgs,
	}
	f := bindFilters(c, "happened", "status")
	order, limit := bindOrder(c, "latest", "earliest"), bindLimit(c, 0)
	client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		q, err := f.query()
		if err != nil {
			return err
		}
		q.Set("order", *order+"First")
		return s.List(ctx, &client.Request{Path: "/v2/events", Query: q}, eventPage, *limit, event...)
	})
	c.AddCommand(newLogsTail(environ))
	return c
}

// bindOrder defines the flag --order; the first of these words is the default.
func bindOrder(c *cobra.Command, words ...string) *string {
	return config.BindChoice(c, "order", "", "which come first", words...)
}

func newLogsTail(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "tail",
		Short: "Follow what happens to messages",
		Long: "Print what happens to messages as it happens, until SIGINT. When the connection breaks it is\n" +
			"made again, and the output goes on behind the last entry. JSON is one object a line.",
		Example: "  tidemill logs tail --state FAILED\n" +
			"  tidemill logs tail --queue orders -o ndjson | jq .url",
		Args: cobra.NoArgs,
	}
	f := bindFilters(c, "happened", "status")
	limit := bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		q, err := f.query()
		if err != nil {
			return err
		}
		return tail(ctx, s, q, *limit)
	})
}

var errEnough = errors.New("that is as many as were asked for")

// tail prints each event as it comes. To end it is no failure.
func tail(ctx context.Context, s *client.Session, q url.Values, limit int) error {
	list := s.Out.Lines(event...)
	err := s.Follow(ctx, &client.Request{Path: "/v2/logs/stream", Query: q}, func(data json.RawMessage) error {
		if err := list.Add(data); err != nil {
			return err
		}
		if err := list.Flush(); err != nil {
			return err
		}
		if list.Len() == limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
