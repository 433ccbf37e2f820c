package commands

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewKeys is the command keys.
func NewKeys(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "Show and rotate the keys that deliveries are signed with",
	}, newKeysShow(environ), newKeysRotate(environ))
}

func newKeysShow(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:   "show",
		Short: "Print the signing keys, for the environment of a receiver",
		Long: "Print the account's signing keys, which are secrets: whoever has them can make deliveries\n" +
			"that look like the server's. The lines can be sourced by a shell, or put into a file of\n" +
			"environment variables.",
		Example: "  tidemill keys show > /etc/shop/signing.env\n  tidemill keys show -o json | jq -r .current",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, s *client.Session, _ []string) error {
		raw, err := s.JSON(ctx, &client.Request{Path: "/v2/keys", Of: "signing keys"})
		if err != nil || !s.Out.Table() {
			return printed(s, raw, err)
		}
		return exports(s, raw)
	})
}

func newKeysRotate(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Make the next signing key the current one, and print both",
		Long: "Make the next signing key the current one, draw a new next one, and print both. Receivers\n" +
			"that verify with both keys, as the official clients do, go on without a break. Give them\n" +
			"the new keys before the keys are rotated once more: who has only older ones than the\n" +
			"current refuses every delivery. --yes says that they have the present next key.",
		Example: "  tidemill keys rotate --yes > /etc/shop/signing.env",
		Args:    cobra.NoArgs,
	}
	yes := bindYes(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		if err := confirmed(*yes, "makes the present next key the current one, and receivers that do not have it refuse deliveries"); err != nil {
			return err
		}
		raw, err := s.JSON(ctx, &client.Request{Method: http.MethodPost, Path: "/v2/keys/rotate", Of: "signing keys"})
		if err != nil || !s.Out.Table() {
			return printed(s, raw, err)
		}
		return exports(s, raw)
	})
}

// exports prints keys as the lines of an environment.
func exports(s *client.Session, raw []byte) error {
	k, err := client.Parse(raw)
	if err != nil {
		return err
	}
	if err := s.Out.Line("QSTASH_CURRENT_SIGNING_KEY=" + k.Text("current")); err != nil {
		return err
	}
	return s.Out.Line("QSTASH_NEXT_SIGNING_KEY=" + k.Text("next"))
}
