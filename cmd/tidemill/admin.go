package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// admin is the listener for the operator: profiles and health, apart from the API
// so that the API's port can be open to the world. A nil *admin is one that is off.
type admin struct {
	ln    net.Listener
	srv   *http.Server
	ready atomic.Pointer[func() error]
}

// listenAdmin starts the listener at addr. In the form adminAuto it takes the
// API's port + 1000 on the same host and is off, with a line, if that is taken.
func listenAdmin(addr string, api net.Addr, log *slog.Logger) (*admin, error) {
	auto := addr == adminAuto
	if auto {
		addr = adminBeside(api)
	}
	if addr == adminOff {
		return nil, nil
	}
	ln, err := net.Listen("tcp", addr)
	switch {
	case err != nil && auto:
		log.Warn("the admin listener is off: its port is taken (choose one with --admin.listen)", "listen", addr, "error", err)
		return nil, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("admin.listen on %s: address already in use %s: choose another with --admin.listen, or off", addr, portOf(addr))
	case err != nil:
		return nil, fmt.Errorf("admin.listen: %w: choose another address with --admin.listen, or off", err)
	}
	a := &admin{ln: ln}
	a.srv = &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second}
	go a.srv.Serve(ln) // returns when closed; a failing admin listener is no reason to stop
	return a, nil
}

// adminBeside is the address for adminAuto.
func adminBeside(api net.Addr) string {
	tcp, ok := api.(*net.TCPAddr)
	if !ok || tcp.Port+1000 > 65535 {
		return adminOff
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port+1000))
}

func (a *admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// watch makes /healthz tell what ready tells. Before, it says "starting".
func (a *admin) watch(ready func() error) {
	if a != nil {
		a.ready.Store(&ready)
	}
}

func (a *admin) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	ready := a.ready.Load()
	switch {
	case ready == nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, `{"error":"starting: the log is being recovered"}`)
	case (*ready)() != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "{\"error\":%s}\n", strconv.QuoteToASCII((*ready)().Error()))
	default:
		fmt.Fprintln(w, `{"status":"ok"}`)
	}
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
