package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/top"
)

// topFlags are the flags of top.
type topFlags struct {
	environ  []string
	admin    *source
	api      *client.Target
	once     bool
	interval config.DurationValue
	format   *string
}

func newTop(environ []string) *cobra.Command {
	t := &topFlags{environ: environ, interval: config.DurationValue(time.Second)}
	c := &cobra.Command{
		Use:   "top",
		Short: "Show what a running server does, live",
		Long: "Show rates, destination hosts, queues and flow-control keys of a running server, anew every\n" +
			"second. s sorts by another column, S by the one before, q ends it. Without a terminal, or\n" +
			"with --once, one page is printed; -o json prints it as JSON, and -o ndjson goes on doing so.\n\n" +
			"The admin listener tells of the server's disk and of all hosts, and needs no token. The API\n" +
			"tells of the account whose token is in QSTASH_TOKEN: its rates, queues and keys. Both are\n" +
			"asked, if QSTASH_URL or --url names a server on this machine and its admin listener is on\n" +
			"the port 1000 above; of a server elsewhere name the admin listener with --from.",
		Example: "  tidemill top\n" +
			"  tidemill top --url http://10.0.0.7:8080 --from http://10.0.0.7:9080\n" +
			"  tidemill top --once\n" +
			"  tidemill top -o ndjson --interval 10s >> tidemill-top.ndjson",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	t.admin = bindAdmin(c, environ)
	t.api = client.BindTarget(f, environ)
	f.BoolVar(&t.once, "once", false, "print one page and end")
	f.Var(&t.interval, "interval", "time between two looks")
	t.format = client.BindOutput(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return t.run(c) }
	return c
}

func (t *topFlags) run(c *cobra.Command) error {
	interval := time.Duration(t.interval)
	if interval < 100*time.Millisecond {
		return exit.With(exit.Usage, fmt.Errorf("--interval %v is too short: want 100ms or more", interval))
	}
	r, target, err := t.reader(c.Context())
	if err != nil {
		return err
	}
	if *t.format != client.FormatTable {
		return t.printJSON(c.Context(), r, c.OutOrStdout())
	}
	if out, ok := c.OutOrStdout().(*os.File); ok && !t.once && term.IsTerminal(out.Fd()) {
		if _, err := r.Read(c.Context()); err != nil { // before the screen is taken: it may be the wrong address
			return err
		}
		return top.Run(c.Context(), r, interval, target, os.Stdin, out)
	}
	text, err := top.Plain(c.Context(), r, interval)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.OutOrStdout(), text)
	return err
}

// printJSON prints snapshots, one or, as NDJSON, one for each interval until it is interrupted.
func (t *topFlags) printJSON(ctx context.Context, r *top.Reader, w io.Writer) error {
	out := json.NewEncoder(w)
	for {
		s, err := r.Read(ctx)
		if err != nil {
			return err
		}
		if err := out.Encode(s); err != nil {
			return err
		}
		if t.once || *t.format == client.FormatJSON {
			return nil
		}
		select {
		case <-time.After(time.Duration(t.interval)):
		case <-ctx.Done():
			return nil
		}
	}
}

// reader says who is asked, and a name for them. Of a server that only QSTASH_URL names, the admin
// listener is asked if there is one where it is by default.
func (t *topFlags) reader(ctx context.Context) (*top.Reader, string, error) {
	var api *apiReader
	if t.api.Named() {
		server, err := t.api.Open()
		if err != nil {
			return nil, "", err
		}
		api = &apiReader{server}
	}
	listen, err := config.Lookup(t.environ, t.admin.data.config, "admin.listen")
	if err != nil {
		return nil, "", err
	}
	if api != nil && t.admin.from == "" && (listen == "" || listen == config.AdminOff || listen == config.AdminAuto) {
		beside := adminOf(api.URL())
		if beside == nil || beside.Get(ctx, "/stats", new(struct{})) != nil {
			return &top.Reader{API: api}, api.URL(), nil
		}
		return &top.Reader{API: api, Admin: beside}, api.URL() + ", " + beside.base, nil
	}
	base, err := t.admin.url()
	if err != nil {
		return nil, "", err
	}
	r, target := &top.Reader{Admin: newAdminReader(base)}, base
	if api != nil {
		r.API, target = api, api.URL()+", "+base
	}
	return r, target, nil
}

// apiReader reads what the API tells.
type apiReader struct{ *client.Server }

// Get reads an answer into v.
func (a *apiReader) Get(ctx context.Context, path string, v any) error {
	raw, err := a.JSON(ctx, &client.Request{Path: path})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return exit.With(exit.Unavailable, fmt.Errorf("%s%s: %w", a.URL(), path, err))
	}
	return nil
}
