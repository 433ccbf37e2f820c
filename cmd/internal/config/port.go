package config

import (
	"errors"
	"net"
	"strconv"

	"github.com/spf13/cobra"
)

// BindPort defines dev's --port, which changes the port of listen.
func (s *Sources) BindPort(c *cobra.Command) {
	port := -1
	s.port = &port
	c.Flags().Var((*portValue)(s.port), "port", "port to listen on, on 127.0.0.1 unless listen says otherwise")
	c.MarkFlagsMutuallyExclusive("port", "listen")
}

// portValue is a TCP port; 0 lets the system choose. Below zero it was not given.
type portValue int

func (v *portValue) String() string { return "8080" }
func (v *portValue) Type() string   { return "number" }

func (v *portValue) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return errors.New("want a port from 0 to 65535")
	}
	*v = portValue(n)
	return nil
}

func (s *Sources) applyPort(l *loader) {
	if s.port == nil || *s.port < 0 {
		return
	}
	origin := Origin{Source: FromFlag, Name: "--port"}
	if !s.Dev {
		l.fail(origin, "it is a flag of dev: use --listen, or --dev for its defaults")
		return
	}
	l.config.Listen = withPort(l.config.Listen, *s.port)
	l.config.origins["listen"] = origin
}

func withPort(addr string, port int) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
