package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func newServe(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run the server with production defaults",
		Long: "Run the server. Its first start creates the data directory, a token and two signing\n" +
			"keys, and prints them once. Loopback, private, link-local and metadata destinations\n" +
			"are refused unless --destinations.allow names them.",
		Args: cobra.NoArgs,
	}
	sources := config.Bind(c, false, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := sources.Load()
		if err != nil {
			return err
		}
		if cfg.Data == "" {
			return exit.With(exit.Config, errors.New("serve needs a data directory: name one with --data DIR or TIDEMILL_DATA "+
				"(to try tidemill without one, run `tidemill dev`)"))
		}
		return runServe(c, sources.Load, cfg)
	}
	return c
}

func runServe(c *cobra.Command, load func() (*config.Config, error), cfg *config.Config) error {
	hangups := make(chan os.Signal, 1) // from now on: one that comes during recovery waits for its end
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := checkAuth(cfg); err != nil {
		return err
	}
	log, control := newLogger(c.ErrOrStderr(), cfg)
	s, err := listenManaged(cfg, log)
	if err != nil {
		return err
	}
	s.logs, s.reloads = control, newReloading(load, cfg)
	s.reloads.hangups = hangups
	s.reloads.began, s.reloads.ended = s.notify.Reloading, func() { s.notify.Ready(s.status()) }
	defer s.close()
	if err := s.open(); err != nil {
		return err
	}
	fresh, err := ensureAccount(s.engine, cfg.Data, brought(cfg))
	if err != nil {
		return err
	}
	if fresh != nil {
		s.log.Info("first start: a token and signing keys were made", "file", credentialsPath(cfg.Data))
	}
	if err := applyAuth(s.engine, cfg, s.log); err != nil {
		return err
	}
	return s.serve(c.Context(), nil, func() { serveBanner(c.OutOrStdout(), s, fresh) })
}

// serveBanner says where the server is. The secrets are printed by the start that made
// them and by no other; those that the operator brought by none.
func serveBanner(w io.Writer, s *server, fresh *credentials) {
	credentialsBanner(w, s, fresh)
	if s.cfg.UI {
		fmt.Fprintf(w, "UI: %s/ui/\n", baseURL(s.ln.Addr()))
	}
	fmt.Fprintf(w, "Data: %s\n", s.cfg.Data)
	if a := s.admin.addr(); a != "" {
		fmt.Fprintf(w, "Admin: http://%s/healthz, http://%s/metrics, http://%s/debug/pprof/\n", a, a, a)
	}
	fmt.Fprintf(w, "Server is running at %s\n", baseURL(s.ln.Addr()))
}

func credentialsBanner(w io.Writer, s *server, fresh *credentials) {
	var from []string
	for i, p := range brought(s.cfg).pairs() {
		if p.value != "" {
			from = append(from, fmt.Sprintf("%s (%s)", authNames[i], s.cfg.Origin(authNames[i])))
		}
	}
	path := credentialsPath(s.cfg.Data)
	if fresh != nil {
		what := "this token and these signing keys were"
		if len(from) > 0 {
			what = "what the configuration does not have was"
		}
		fmt.Fprintf(w, "First start: %s made for you. They are in\n%s and are not printed again.\n\n", what, path)
		fresh.export(w, baseURL(s.ln.Addr()))
		fmt.Fprintln(w)
	} else if len(from) < len(authNames) {
		fmt.Fprintf(w, "Token and signing keys of the first start: %s\n", path)
	}
	if len(from) > 0 {
		fmt.Fprintf(w, "From the configuration: %s\n", strings.Join(from, ", "))
	}
}
