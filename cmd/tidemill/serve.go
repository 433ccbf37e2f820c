package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newServe(environ []string) *cobra.Command {
	cfg := config.Default()
	c := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run the server with production defaults",
		Long: "Run the server. Its first start creates the data directory, a token and two signing\n" +
			"keys, and prints them once. Loopback, private, link-local and metadata destinations\n" +
			"are refused unless --destinations.allow names them.",
		Args: cobra.NoArgs,
	}
	settings := cfg.Settings()
	config.BindFlags(c.Flags(), settings)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := config.FromEnv(c.Flags(), settings, environ); err != nil {
			return err
		}
		if cfg.Data == "" {
			return errors.New("serve needs a data directory: name one with --data DIR or TIDEMILL_DATA " +
				"(to try tidemill without one, run `tidemill dev`)")
		}
		if err := cfg.Validate(); err != nil {
			return err
		}
		return runServe(c, cfg)
	}
	return c
}

func runServe(c *cobra.Command, cfg *config.Config) error {
	log, level := newLogger(c.ErrOrStderr())
	s, err := listen(cfg, log, "--listen")
	if err != nil {
		return err
	}
	s.level = level
	defer s.close()
	if err := s.open(); err != nil {
		return err
	}
	fresh, err := ensureAccount(s.engine, cfg.Data)
	if err != nil {
		return err
	}
	if fresh != nil {
		s.log.Info("first start: a token and signing keys were made", "file", credentialsPath(cfg.Data))
	}
	return s.serve(c.Context(), nil, func() { serveBanner(c.OutOrStdout(), s, fresh) })
}

// serveBanner says where the server is. The secrets are printed by the start that
// made them and by no other.
func serveBanner(w io.Writer, s *server, fresh *credentials) {
	if fresh != nil {
		fmt.Fprintf(w, "First start: this token and these signing keys were made for you. They are in\n%s and are not printed again.\n\n",
			credentialsPath(s.cfg.Data))
		fresh.export(w, baseURL(s.ln.Addr()))
		fmt.Fprintln(w)
	} else {
		fmt.Fprintf(w, "Token and signing keys of the first start: %s\n", credentialsPath(s.cfg.Data))
	}
	fmt.Fprintf(w, "Data: %s\n", s.cfg.Data)
	if a := s.admin.addr(); a != "" {
		fmt.Fprintf(w, "Admin: http://%s/healthz, http://%s/debug/pprof/\n", a, a)
	}
	fmt.Fprintf(w, "Server is running at %s\n", baseURL(s.ln.Addr()))
}
