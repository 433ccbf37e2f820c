package commands

import (
	"context"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// pullSettings are the flags of queues pull set. What is not given stays as it is.
type pullSettings struct {
	c           *cobra.Command
	secretFile  string
	noDead      bool
	noWebhook   bool
	visibility  secondsFlag
	retention   secondsFlag
	delay       secondsFlag
	timeout     secondsFlag
	maxRetries  int
	concurrency int
}

func bindPullSettings(c *cobra.Command) *pullSettings {
	p := &pullSettings{c: c}
	f := c.Flags()
	f.String("dead-letter-queue", "", "where messages go that fail too often; made if it is not there")
	f.BoolVar(&p.noDead, "no-dead-letter-queue", false, "take the dead letter queue away")
	f.IntVar(&p.maxRetries, "max-retries", 3, "how often a message may fail beyond the first time")
	f.Var(&p.visibility, "visibility", "how long who receives a message has it for itself (default 30s)")
	f.Var(&p.retention, "retention", "after this time a message is dropped (default 14d)")
	f.Var(&p.delay, "delay", "messages that name none cannot be received before this time (default 0)")
	f.String("webhook-url", "", "URL that messages are pushed to")
	f.StringVar(&p.secretFile, "webhook-secret-file", "", "file that holds the secret of the webhook's signatures (default one is made up and printed)")
	f.BoolVar(&p.noWebhook, "no-webhook", false, "take the webhook away: consumers receive")
	f.IntVar(&p.concurrency, "max-concurrency", 10, "pushes at one time")
	f.Var(&p.timeout, "timeout", "time for one push (default 1m)")
	f.String("retry-delay", "", "milliseconds before a push is made again, as an expression")
	c.MarkFlagsMutuallyExclusive("dead-letter-queue", "no-dead-letter-queue")
	c.MarkFlagsMutuallyExclusive("webhook-url", "no-webhook")
	return p
}

// body is what the flags say, as POST /v1/queues takes it.
func (p *pullSettings) body(name string) (map[string]any, error) {
	body := map[string]any{"name": name}
	f := p.c.Flags()
	for flag, member := range map[string]string{
		"dead-letter-queue": "dead_letter_queue", "webhook-url": "webhook_url", "retry-delay": "retry_delay",
	} {
		if !f.Changed(flag) {
			continue
		}
		v := f.Lookup(flag).Value.String()
		if err := named("--"+flag, []string{v}); err != nil {
			return nil, err
		}
		body[member] = v
	}
	if p.noDead {
		body["dead_letter_queue"] = nil
	}
	if p.noWebhook {
		body["webhook_url"] = nil
	}
	if f.Changed("max-retries") {
		body["max_retries"] = p.maxRetries
	}
	if f.Changed("max-concurrency") {
		body["max_concurrency"] = p.concurrency
	}
	p.visibility.put(body, "visibility_seconds")
	p.retention.put(body, "retention_seconds")
	p.delay.put(body, "delay_seconds")
	p.timeout.put(body, "timeout_seconds")
	return body, p.secret(body)
}

// secret reads the secret's file: as a flag everybody could read it in the list of processes (P45).
func (p *pullSettings) secret(body map[string]any) error {
	if p.secretFile == "" {
		return nil
	}
	b, err := os.ReadFile(p.secretFile)
	if err != nil {
		return exit.With(exit.NoInput, err)
	}
	body["webhook_secret"] = strings.TrimSpace(string(b))
	return nil
}

func newPullSet(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Make a pull queue, or change its settings",
		Long: "Make a pull queue, or change the settings that are given of one that is there. A secret\n" +
			"that the server makes up for a webhook is printed once.",
		Example: "  tidemill queues pull set jobs --max-retries 5 --dead-letter-queue jobs-dead --visibility 2m\n" +
			"  tidemill queues pull set jobs --webhook-url https://shop.example/jobs --max-concurrency 20",
		Args: cobra.ExactArgs(1),
	}
	p := bindPullSettings(c)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("NAME", args); err != nil {
			return err
		}
		body, err := p.body(args[0])
		if err != nil {
			return err
		}
		return s.One(ctx, &client.Request{
			Method: http.MethodPost, Path: "/v1/queues", Of: pullKind + " " + args[0], Body: client.Body(body),
		}, pullQueue...)
	})
}
