package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/metrics"
	"github.com/tidemill/tidemill/cmd/internal/profiles"
	"github.com/tidemill/tidemill/engine"
)

// admin is the listener for the operator: profiles and health, apart from the API
// so that the API's port can be open to the world. A nil *admin is one that is off.
type admin struct {
	ln      net.Listener
	srv     *http.Server
	reloads *reloading                    // set before the engine is
	engine  atomic.Pointer[engine.Engine] // nil until it is open
	metrics *metrics.Exporter
}

// listenAdmin starts the listener on the socket passed, or at addr. In the form AdminAuto it takes the
// API's port + 1000 on the same host and is off, with a line, if that is taken.
func listenAdmin(addr string, passed *net.TCPListener, api net.Addr, log *slog.Logger) (*admin, error) {
	auto := addr == config.AdminAuto
	if auto {
		addr = adminBeside(api)
	}
	if addr == config.AdminOff && passed == nil {
		return nil, nil
	}
	ln, err := passedOr(passed, addr)
	switch {
	case err != nil && auto:
		log.Warn("the admin listener is off: its port is taken (choose one with --admin.listen)", "listen", addr, "error", err)
		return nil, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, exit.With(exit.Unavailable, fmt.Errorf("admin.listen on %s: address already in use %s: choose another with --admin.listen, or off", addr, portOf(addr)))
	case err != nil:
		return nil, fmt.Errorf("%w, or off", listenFailed("admin.listen", err))
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		log.Warn("the admin listener takes no token and is not on loopback: whoever reaches it reads all data and makes tokens", "listen", tcp)
	}
	a := &admin{ln: ln, metrics: metrics.New()}
	a.srv = &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second}
	go pprof.Do(context.Background(), pprof.Labels("stage", "admin"), func(context.Context) {
		_ = a.srv.Serve(ln) // returns when closed; a failing admin listener is no reason to stop
	})
	return a, nil
}

// adminBeside is the address for AdminAuto.
func adminBeside(api net.Addr) string {
	tcp, ok := api.(*net.TCPAddr)
	if !ok || tcp.Port+1000 > 65535 {
		return config.AdminOff
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port+1000))
}

func (a *admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /stats", a.stats)
	mux.Handle("GET /metrics", a.metrics.Handler())
	mux.HandleFunc("GET /hosts", a.hosts)
	mux.HandleFunc("POST /backup", a.guarded(a.backup))
	mux.HandleFunc("POST /export", a.guarded(a.export))
	mux.HandleFunc("POST /manage/{what}", a.guarded(a.manage))
	mux.HandleFunc("POST /reload", a.guarded(a.reload))
	profiles.Register(mux)
	return mux
}

// watch makes the listener tell of the engine. Before, /healthz says "starting".
func (a *admin) watch(e *engine.Engine, r *reloading) {
	if a != nil {
		a.reloads = r
		a.engine.Store(e)
	}
}

const starting = "starting: the log is being recovered"

// health answers 200 as long as publishes are accepted. Damage is told, and is no
// reason to take the server out of service (W7).
func (a *admin) health(w http.ResponseWriter, _ *http.Request) {
	e := a.engine.Load()
	if e == nil {
		adminError(w, http.StatusServiceUnavailable, starting)
		return
	}
	if err := e.Ready(); err != nil {
		adminError(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	h := e.Health()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct {
		Status          string                `json:"status"`
		Damaged         int                   `json:"damaged"`
		DamagedRanges   []engine.DamagedRange `json:"damaged_ranges,omitempty"`
		DamagedMessages int64                 `json:"damaged_messages"`
	}{"ok", h.DamagedRanges, h.Damaged, h.DamagedMessages})
}

// stats tells the engine's counters.
func (a *admin) stats(w http.ResponseWriter, _ *http.Request) {
	e := a.engine.Load()
	if e == nil {
		adminError(w, http.StatusServiceUnavailable, starting)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(e.Stats())
}

// hosts tells of destination hosts, those first that fail: which are half-open, and how
// long they take.
func (a *admin) hosts(w http.ResponseWriter, _ *http.Request) {
	e := a.engine.Load()
	if e == nil {
		adminError(w, http.StatusServiceUnavailable, starting)
		return
	}
	hosts, err := e.Hosts()
	if err != nil {
		adminError(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"hosts": hosts})
}

func adminError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// addr is where the listener is, or "" if it is off.
func (a *admin) addr() string {
	if a == nil {
		return ""
	}
	return a.ln.Addr().String()
}

func (a *admin) close() {
	if a != nil {
		_ = a.srv.Close()
	}
}
