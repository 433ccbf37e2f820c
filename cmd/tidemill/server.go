package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/limits"
	"github.com/tidemill/tidemill/cmd/internal/logging"
	"github.com/tidemill/tidemill/cmd/internal/systemd"
	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/httpapi"
)

// server holds what one tidemill process has open, in the order of opening:
// listener, admin, client, engine, api. dev and serve build the same one. It is
// owned by the goroutine that runs the command; onFatal is called by others, and reloads
// are carried out by a goroutine of their own, which changes what others look at only
// where they expect that.
type server struct {
	cfg      *config.Config
	log      *slog.Logger
	logs     *logging.Control // of log
	began    time.Time
	ln       net.Listener
	admin    *admin
	client   *dispatch.Client
	alerts   *alerting
	roots    *x509.CertPool // of destinations.ca-file; nil: the system's alone
	engine   *engine.Engine
	api      *httpapi.Server
	fatal    chan error // capacity 1: the engine's last words
	notify   *systemd.Notifier
	graceful bool // a stop leaves time to requests on their way

	reloads  *reloading
	patience atomic.Int64 // shutdownTimeout

	descriptors limits.Descriptors
}

// listen takes the ports, before anything is created on disk: a start that fails
// for a port that is taken leaves no trace.
func listen(cfg *config.Config, log *slog.Logger, portFlag string) (*server, error) {
	return listenOr(cfg, log, portFlag, systemd.Sockets{})
}

// listenOr is listen, with the sockets that somebody else has taken for this process in
// place of ports of its own. When it fails they are still the caller's.
func listenOr(cfg *config.Config, log *slog.Logger, portFlag string, passed systemd.Sockets) (*server, error) {
	ln, err := passedOr(passed.API, cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, exit.With(exit.Unavailable, fmt.Errorf("listen on %s: address already in use %s: stop what uses it, or choose another with %s",
			cfg.Listen, portOf(cfg.Listen), portFlag))
	}
	if err != nil {
		return nil, listenFailed("listen", err)
	}
	s := &server{cfg: cfg, log: log, began: time.Now(), ln: ln, fatal: make(chan error, 1)}
	s.patience.Store(int64(cfg.ShutdownTimeout))
	s.logStarting()
	if s.admin, err = listenAdmin(cfg.AdminListen, passed.Admin, ln.Addr(), log); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	s.logListening()
	s.logPassed(&passed)
	return s, nil
}

// listenFailed says what to do about an address that cannot be listened on.
func listenFailed(setting string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w: ports below 1024 need CAP_NET_BIND_SERVICE, or socket activation; or choose a higher one", setting, err)
	}
	return fmt.Errorf("%s: %w: choose another address with --%s", setting, err, setting)
}

func portOf(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return ":" + port
}

// open opens the data directory and recovers what is in it.
func (s *server) open() (err error) {
	boundHeap()
	if err := s.shareOut(); err != nil {
		return err
	}
	s.shareMemory()
	policy, err := dispatch.NewPolicy(s.cfg.PolicyOptions(s.own()))
	if err != nil {
		return err
	}
	if s.roots, err = loadRoots(s.cfg.CAFile); err != nil {
		return exit.With(exit.Config, err)
	}
	responseMax, connsMax := clientLimits(s.cfg)
	s.client, err = dispatch.New(dispatch.Options{
		Policy:          policy,
		RootCAs:         s.roots,
		MaxResponse:     responseMax,
		MaxConnsPerHost: connsMax,
		MaxIdleConns:    s.descriptors.Idle,
		Logger:          s.log,
	})
	if err != nil {
		return err
	}
	if err := s.openAlerts(s.roots); err != nil {
		return err
	}
	opts := s.cfg.EngineOptions()
	opts.Wire, opts.Logger, opts.OnFatal, opts.Notify = s.client, s.log, s.onFatal, s.alerts.Notify
	opts.Progress = s.tellProgress
	s.engine, err = engine.Open(opts)
	if err != nil {
		return err // names the directory, and says what to do
	}
	s.admin.watch(s.engine, s.reloads)
	s.admin.measure(s.engine, s.client)
	return nil
}

// clientLimits are dispatch.Options.MaxResponse and MaxConnsPerHost. The engine gates
// what runs in parallel; the second is the net under it.
func clientLimits(cfg *config.Config) (maxResponse, maxConnsPerHost int) {
	return int(cfg.ResponseMax), 2 * cfg.HostParallelism
}

// apiOptions are those of the API that the configuration decides.
func (s *server) apiOptions(cfg *config.Config) httpapi.Options {
	return httpapi.Options{
		Engine:           s.engine,
		CheckDestination: s.client.CheckURL,
		BatchMax:         cfg.BatchMax,
		InflightBytes:    cfg.InflightMax,
		Concurrency:      s.descriptors.Clients,
		CORSOrigins:      cfg.Origins,
		UI:               cfg.UI,
		Logger:           s.log,
	}
}

// own are the listeners that no message may be sent to. In dev the API is none of
// them: the receiver that the banner's curl publishes to is there.
func (s *server) own() []netip.AddrPort {
	addrs := []net.Addr{s.ln.Addr()}
	if s.cfg.AllowPrivate {
		addrs = nil
	}
	if s.admin != nil {
		addrs = append(addrs, s.admin.ln.Addr())
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		if tcp, ok := a.(*net.TCPAddr); ok {
			out = append(out, tcp.AddrPort())
		}
	}
	return out
}

// serve answers requests until ctx ends, the engine fails or the listener does.
// started is called once requests are accepted. fallback gets what is no route of
// the API; it may be nil.
func (s *server) serve(ctx context.Context, fallback fasthttp.RequestHandler, started func()) (err error) {
	opts := s.apiOptions(s.cfg)
	opts.Fallback = fallback
	if s.api, err = httpapi.New(opts); err != nil {
		return err
	}
	s.admin.measureAPI(s.api)
	served := make(chan error, 1)
	go func() { served <- s.api.Serve(s.ln) }()
	s.logReady()
	started()
	defer s.attend()()
	over := s.takeReloads()
	select {
	case <-ctx.Done():
		over()
		s.log.Info("stopping", "timeout", s.shutdownTimeout().String())
		return s.drain()
	case err = <-s.fatal:
		over()
		s.abandon()
		return &toldError{exit.With(exit.IO, err)}
	case err = <-served:
		over()
		return errors.Join(fmt.Errorf("serve %s: %w", s.ln.Addr(), err), s.drain())
	}
}

// shutdownTimeout is shutdown.timeout, as it is now.
func (s *server) shutdownTimeout() time.Duration { return time.Duration(s.patience.Load()) }

// drain stops in the reverse order of starting: no new connections, requests under way
// and on their way are finished, then attempts in flight, then the checkpoint. Requests may take
// half of shutdown.timeout, so that one client that never ends its request does
// not cost the attempts theirs. What does not end in time is cut off; nothing
// acknowledged is lost by that, so it is no failure.
func (s *server) drain() error {
	began := time.Now()
	timeout := s.shutdownTimeout()
	s.notify.Stopping("stopping: what is in flight is finished, for at most " + timeout.String())
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	requests, cancelRequests := context.WithTimeout(ctx, timeout/2)
	defer cancelRequests()
	s.awaitRequests(requests)
	if err := s.api.Shutdown(requests); err != nil {
		s.log.Warn("requests were cut off", "error", err)
	}
	err := s.engine.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("attempts were cut off; they will be made again", "error", err)
		err = nil
	}
	s.logStopped(began)
	return err
}

// A failed log ends the process within a second (W8). fatalAnswers is what
// waiting requests get of it to hear that their outcome is unknown.
const (
	fatalExit    = 900 * time.Millisecond
	fatalAnswers = 400 * time.Millisecond
)

// onFatal is the engine's OnFatal. The timer is for the case that nobody listens any
// more, or not yet, and that the line goes to a disk that hangs: the process must not
// outlive its log.
func (s *server) onFatal(err error) {
	time.AfterFunc(fatalExit, func() { os.Exit(int(exit.IO)) })
	s.log.Error("the log failed, stopping: what was acknowledged is on disk, the outcome of requests under way is unknown. "+
		"Look at the disk, then start again", "error", err)
	select {
	case s.fatal <- err:
	default:
	}
}

// abandon leaves the engine as it is: it must not be asked to write any more.
func (s *server) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), fatalAnswers)
	defer cancel()
	_ = s.api.Shutdown(ctx) // the reason was logged; this only lets answers out
}

// close releases whatever is open, also after a start that failed half-way.
func (s *server) close() {
	_ = s.ln.Close()
	if s.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), s.shutdownTimeout())
		defer cancel()
		_ = s.engine.Shutdown(ctx) // a second call after drain does nothing
	}
	if s.client != nil {
		s.client.Close()
	}
	s.alerts.close()
	s.admin.close()
}
