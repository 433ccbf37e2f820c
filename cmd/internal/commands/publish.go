package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewPublish is the command publish.
func NewPublish(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "publish URL|GROUP",
		Short: "Publish a message",
		Long: "Publish a message to a URL, or to every endpoint of a URL group, and print its id, or one\n" +
			"for each endpoint. When the command ends with status 0 the message is on the server's\n" +
			"disk, and will be delivered at least once or end in the dead letter queue.",
		Example: "  tidemill publish https://example.com/hook -d '{\"n\":1}' --content-type application/json\n" +
			"  tidemill publish https://example.com/hook --body-file report.pdf --delay 10m --retries 5\n" +
			"  tidemill publish https://example.com/hook --queue orders --label paid -H 'X-Shop: 7' -H @secret-headers\n" +
			"  date | tidemill publish newsletter --body-file - --dedup-id today",
		Args: cobra.ExactArgs(1),
	}
	opt, body := bindOptions(c), bindBody(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("URL|GROUP", args); err != nil {
			return err
		}
		h := http.Header{}
		if err := opt.set(h); err != nil {
			return err
		}
		b, err := body.read()
		if err != nil {
			return err
		}
		raw, err := s.JSON(ctx, &client.Request{Method: http.MethodPost, Path: "/v2/publish/" + client.Escape(args[0]), Header: h, Body: b})
		if err != nil {
			return err
		}
		return tellReceipts(s, raw)
	})
}

// tellReceipts prints the answer of a publish: an object or, of a URL group, an array of them
// (QSTASH.md §3.8). As text it is the ids alone, for scripts, with the URLs of a group.
func tellReceipts(s *client.Session, raw json.RawMessage) error {
	if !s.Out.Table() {
		return s.Out.JSON(raw)
	}
	receipts, err := objects(raw)
	if err != nil {
		return err
	}
	for _, r := range receipts {
		line := r.Text("messageId")
		if len(receipts) > 1 {
			line += "  " + r.Text("url")
		}
		if err := s.Out.Line(line); err != nil {
			return err
		}
		if r.Bool("deduplicated") {
			fmt.Fprintf(s.Err, "%s was published before: it is not published again.\n", r.Text("messageId"))
		}
	}
	return nil
}

// objects reads an object or an array of them.
func objects(raw json.RawMessage) ([]client.Object, error) {
	if !strings.HasPrefix(string(raw), "[") {
		o, err := client.Parse(raw)
		return []client.Object{o}, err
	}
	var list []client.Object
	err := json.Unmarshal(raw, &list)
	return list, err
}
