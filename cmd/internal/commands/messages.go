package commands

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewMessages is the command messages.
func NewMessages(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "messages",
		Short: "Look at pending messages, and cancel them",
		Long: "Look at messages that are pending, and cancel them. What has ended is in `tidemill logs`\n" +
			"and, if it failed, in `tidemill dlq`.",
	}, newMessagesGet(environ), newMessagesCancel(environ))
}

func newMessagesGet(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "get ID",
		Short:   "Show a pending message, its body and its options",
		Example: "  tidemill messages get msg_26hZCxZCuWyyTWPmSVBrNB882AH",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("ID", args); err != nil {
			return err
		}
		return s.One(ctx, &client.Request{Path: "/v2/messages/" + client.Escape(args[0]), Of: "message " + args[0]}, message...)
	})
}

func newMessagesCancel(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "cancel ID... | --all | FILTERS",
		Args:  cobra.ArbitraryArgs,
		Short: "Cancel messages, by their ids or by filters",
		Long: "Cancel pending messages: those with the ids, or all that the filters select. An attempt\n" +
			"that is under way may still arrive. By ids, one that is not pending is no failure.\n" +
			"Filters cancel what was published before the call; --yes says that you mean it.",
		Example: "  tidemill messages cancel msg_26hZCxZCuWyyTWPmSVBrNB882AH\n" +
			"  tidemill messages cancel --queue orders --label retry --yes\n" +
			"  tidemill messages cancel --all --yes",
	}
	pick := bindPick(c, "messages", "published", "message-id", "state", "status")
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		q, err := pick.selected(args, "cancels all messages that match")
		switch {
		case err != nil:
			return err
		case len(args) > 0:
			return cancelIDs(ctx, s, args)
		}
		return cancelAll(ctx, s, q)
	})
}

func cancelIDs(ctx context.Context, s *client.Session, ids []string) error {
	if len(ids) == 1 {
		r := &client.Request{Method: http.MethodDelete, Path: "/v2/messages/" + client.Escape(ids[0]), Of: "message " + ids[0]}
		return s.Change(ctx, r, tellCanceled)
	}
	return s.Change(ctx, &client.Request{
		Method: http.MethodDelete, Path: "/v2/messages", Body: client.Body(map[string][]string{"messageIds": ids}),
	}, tellCanceled)
}

// cancelAll calls until the server has nothing more: one call goes on for a minute at most
// (EXTENSIONS.md).
func cancelAll(ctx context.Context, s *client.Session, q url.Values) error {
	total := int64(0)
	for {
		raw, err := s.JSON(ctx, &client.Request{Method: http.MethodDelete, Path: "/v2/messages", Query: q})
		if err != nil {
			return after(total, "canceled", err)
		}
		answer, err := client.Parse(raw)
		if err != nil {
			return err
		}
		if total += answer.Int("cancelled"); answer.Bool("more") {
			continue
		}
		return s.Out.Told(client.Body(map[string]int64{"cancelled": total}), tellCanceled)
	}
}

func tellCanceled(answer client.Object) string {
	return count(answer.Int("cancelled"), "message") + " canceled"
}

// after says how far a job came that then failed.
func after(done int64, verb string, err error) error {
	if done == 0 {
		return err
	}
	return fmt.Errorf("%d were %s, then: %w", done, verb, err)
}
