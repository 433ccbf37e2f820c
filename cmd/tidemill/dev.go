package main

import (
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/receive"
)

func newDev(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "dev",
		Short: "Try it: published test users, private destinations allowed, temporary data",
		Long: "Run the server for development: the same engine as `serve`, with the four published\n" +
			"test users, loopback and private destinations allowed, and a receiver under\n" +
			catchPrefix + "/ that prints what arrives. Data are temporary unless --data is given.\n" +
			"Clients find it with QSTASH_DEV=true.",
		Args: cobra.NoArgs,
	}
	sources := config.Bind(c, true, environ)
	sources.BindPort(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := sources.Load()
		if err != nil {
			return err
		}
		return runDev(c, sources.Load, cfg)
	}
	return c
}

func runDev(c *cobra.Command, load func() (*config.Config, error), cfg *config.Config) error {
	log, control := newLogger(c.ErrOrStderr(), cfg)
	s, err := listen(cfg, log, "--port")
	if err != nil {
		return err
	}
	s.logs, s.reloads = control, newReloading(load, cfg) // but a terminal that is closed ends it
	if exposed(s.ln.Addr()) {
		s.log.Warn("others can reach this address, and the published tokens are known to all: with them anybody can "+
			"send requests from this machine, also into its private network", "listen", s.ln.Addr().String())
	}
	temporary := cfg.Data == ""
	if temporary {
		if cfg.Data, err = os.MkdirTemp("", "tidemill-dev-"); err != nil {
			s.close()
			return err
		}
		defer os.RemoveAll(cfg.Data)
	}
	defer s.close()
	if err := s.open(); err != nil {
		return err
	}
	if err := s.engine.Bootstrap(devAccounts()); err != nil {
		return fmt.Errorf("log the development users: %w", err)
	}
	s.engine.AcceptDev(true)
	out := receive.NewPrinter(c.OutOrStdout(), arrivalsLost)
	defer out.Close()
	catch := &receiver{keys: s.signingKeys, print: out.Print}
	return s.serve(c.Context(), catch.handle, func() {
		out.Print(devBanner(baseURL(s.ln.Addr()), cfg.Data, s.admin.addr(), temporary, cfg.UI))
	})
}

// exposed is true for an address that is not this machine's alone.
func exposed(addr net.Addr) bool {
	a, ok := addr.(*net.TCPAddr)
	return ok && !a.IP.IsLoopback()
}

// signingKeys are the keys that a delivery to the receiver may carry.
func (s *server) signingKeys() []string {
	var out []string
	for _, a := range s.engine.Accounts() {
		if k, err := s.engine.Keys(a.ID); err == nil {
			out = append(out, k.Current, k.Next)
		}
	}
	return out
}

// baseURL is how a client on this machine reaches addr.
func baseURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
