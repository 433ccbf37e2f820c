package commands

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

func newDLQRetry(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "retry ID... | --all | FILTERS",
		Args:  cobra.ArbitraryArgs,
		Short: "Publish dead letters again, by their ids or by filters",
		Long: "Publish dead letters again: those with the ids, or all that the filters select. Each becomes\n" +
			"a new message with the body and the options that it had, but for what --set-... changes, and\n" +
			"leaves the dead letter queue. The ids of the new messages are printed. Nothing is retried if\n" +
			"one of the ids is not there. With filters --yes says that you mean it.",
		Example: "  tidemill dlq retry 1725323658779-0 --set-delay 5m\n" +
			"  tidemill dlq retry --queue orders --from 1h --yes --set-retries 10",
	}
	pick, opt := bindPick(c, "dead letters", "failed", notOfDead...), bindRetryOptions(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		q, err := pick.selected(args, "retries all dead letters that match")
		if err != nil {
			return err
		}
		h := http.Header{}
		if err := opt.set(h); err != nil {
			return err
		}
		if len(args) == 1 {
			raw, err := s.JSON(ctx, &client.Request{
				Method: http.MethodPost, Path: "/v2/dlq/retry/" + client.Escape(args[0]), Header: h, Of: "dead letter " + args[0],
			})
			if err != nil {
				return err
			}
			return tellReceipts(s, raw)
		}
		list := s.Out.List(client.Text("MESSAGE", "messageId"))
		err = deadPages(ctx, s, client.Request{Method: http.MethodPost, Path: "/v2/dlq/retry", Header: h}, q, args, deadRetryIDs,
			func(answer client.Object) error {
				for _, raw := range answer.List("responses") {
					if err := list.Add(raw); err != nil {
						return err
					}
				}
				return nil
			})
		if err != nil {
			list.Abandon()
			return after(int64(list.Len()), "retried", err)
		}
		fmt.Fprintln(s.Err, count(int64(list.Len()), "dead letter"), "retried")
		return list.Close()
	})
}
