package main

import (
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/about"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/logging"
)

// newLogger returns the server's logger, and what changes it while the server runs.
func newLogger(w io.Writer, cfg *config.Config) (*slog.Logger, *logging.Control) {
	return logging.New(w, logOptions(cfg))
}

// logOptions are what cfg says of the log.
func logOptions(cfg *config.Config) logging.Options {
	level, err := logging.ParseLevel(cfg.LogLevel)
	if err != nil {
		panic("BUG: a logging.level that was read is " + cfg.LogLevel)
	}
	return logging.Options{Level: level, Format: cfg.LogFormat, NoColor: os.Getenv("NO_COLOR") != ""}
}

// The lines of a server's life, in this order; the engine's and the log's own come between
// them. OPERATIONS.md, "Logs", explains them all.

// logStarting is the first line: what runs here, and how it differs from what everybody runs.
func (s *server) logStarting() {
	s.log.Info("starting", "version", about.Line(), "pid", os.Getpid(), "cpus", runtime.GOMAXPROCS(0),
		slog.GroupAttrs("settings", nonDefault(s.cfg)...))
	for _, text := range s.cfg.Warnings {
		s.log.Warn("configuration: " + text)
	}
}

// nonDefault are the settings that are not at their default. Secrets show as *** (P45).
func nonDefault(cfg *config.Config) (attrs []slog.Attr) {
	defaults := config.Default()
	if cfg.AllowPrivate {
		defaults = config.DevDefault()
	}
	plain := defaults.Settings()
	for i, set := range cfg.Settings() {
		if text := set.Value.String(); text != plain[i].Value.String() {
			attrs = append(attrs, slog.String(set.Name, text))
		}
	}
	return attrs
}

func (s *server) logListening() {
	s.log.Info("listening", "listen", s.ln.Addr().String(), "admin", s.admin.addr())
}

func (s *server) logReady() {
	s.log.Info("ready: requests are accepted", "listen", s.ln.Addr().String(), "took", time.Since(s.began))
}

// logStopped is the last line. The counts are since the start.
func (s *server) logStopped(began time.Time) {
	n := s.engine.Tally()
	s.log.Info("stopped", "took", time.Since(began), "uptime", time.Since(s.began), "accepted", n.Accepted,
		"delivered", n.Delivered, "retried", n.Retried, "dead_letters", n.Ended, "canceled", n.Canceled)
}
