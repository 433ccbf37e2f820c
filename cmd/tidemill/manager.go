package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/systemd"
	"github.com/tidemill/tidemill/engine"
)

const (
	// statusEvery is how often the service manager gets a new line of status.
	statusEvery = 10 * time.Second
	// graceShare of shutdown.timeout is left to clients that are about to send when a stop
	// begins, half a second by default. A connection that is used again ends at once; the
	// rest of the time only idle ones cost.
	graceShare = 20
)

// listenManaged is listen for a server that a service manager may have started.
func listenManaged(cfg *config.Config, log *slog.Logger) (*server, error) {
	notify := systemd.FromEnv()
	passed, err := systemd.Passed()
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	s, err := listenOr(cfg, log, "--listen", passed)
	if err != nil {
		passed.Close()
		return nil, err
	}
	s.notify, s.graceful = notify, true
	return s, nil
}

// passedOr returns the socket that was passed to this process, or takes addr.
func passedOr(passed *net.TCPListener, addr string) (net.Listener, error) {
	if passed != nil {
		return passed, nil
	}
	return net.Listen("tcp", addr)
}

func (s *server) logPassed(passed *systemd.Sockets) {
	if passed.API != nil {
		s.log.Info("the API's socket was passed by systemd: listen is not used", "socket", passed.API.Addr().String(), "listen", s.cfg.Listen)
	}
	if passed.Admin != nil {
		s.log.Info("the admin socket was passed by systemd: admin.listen is not used", "socket", passed.Admin.Addr().String(), "admin.listen", s.cfg.AdminListen)
	}
}

func (s *server) tellProgress(p engine.Progress) { s.notify.Recovering(p.Stage, p.Done, p.Total) }

// attend tells the service manager that requests are accepted and, from then on, that the
// engine lives and how it is. The function it returns ends that: at the very end, since a
// drain is watched, too.
func (s *server) attend() (leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s.notify.Ready(s.status())
	var wg sync.WaitGroup
	wg.Go(func() { s.notify.Watch(ctx, s.engine.Ping, s.log) })
	wg.Go(func() { s.notify.Report(ctx, statusEvery, s.status) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// status is a line for `systemctl status`. It asks nothing of the engine's loop, which may
// be what is stuck.
func (s *server) status() string {
	if err := s.engine.Ready(); err != nil {
		return fmt.Sprintf("listening on %s: publishes are refused: %v", s.ln.Addr(), err)
	}
	st := s.engine.Stats()
	return fmt.Sprintf("listening on %s: %d schedules, %s of live messages in a log of %s",
		s.ln.Addr(), st.Schedules, mebibytes(st.LiveBytes), mebibytes(st.LogBytes))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/config.MiB) }

// awaitRequests lets requests arrive that are on their way, and answers them. dev ends at
// once: who stops it sits in front of it.
func (s *server) awaitRequests(ctx context.Context) {
	if !s.graceful {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.shutdownTimeout()/graceShare)
	defer cancel()
	if err := s.api.Drain(ctx); err != nil {
		s.log.Warn("a listener does not close", "error", err)
	}
}
