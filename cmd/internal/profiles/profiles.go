// Package profiles serves the profiles of a process below /debug/pprof/, as net/http/pprof does, with
// one difference: those of mutexes and of blocking, which slow the process down while they are on, are on
// only while somebody waits for one.
package profiles

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"sync"
)

// What is sampled while a profile of its kind is taken: one contention of a mutex in ten, and one
// blocking event for each 10 µs blocked.
const (
	mutexFraction = 10
	blockRate     = 10_000 // ns
)

// Bounds of ?seconds=. A profile of mutexes or blocking that names none lasts secondsDefault.
const (
	secondsDefault = 10
	secondsMax     = 600
)

// Path is where profiles are.
const Path = "/debug/pprof/"

// Register makes mux serve profiles: cpu (as "profile"), heap, allocs, goroutine, threadcreate, mutex, block and trace.
func Register(mux *http.ServeMux) {
	mux.Handle(Path, bounded(http.HandlerFunc(pprof.Index)))
	mux.Handle(Path+"cmdline", http.HandlerFunc(pprof.Cmdline))
	mux.Handle(Path+"profile", bounded(http.HandlerFunc(pprof.Profile)))
	mux.Handle(Path+"symbol", http.HandlerFunc(pprof.Symbol))
	mux.Handle(Path+"trace", bounded(http.HandlerFunc(pprof.Trace)))
	mux.Handle(Path+"mutex", bounded(&sampled{handler: pprof.Handler("mutex"), rate: mutexFraction, set: func(n int) { runtime.SetMutexProfileFraction(n) }}))
	mux.Handle(Path+"block", bounded(&sampled{handler: pprof.Handler("block"), rate: blockRate, set: runtime.SetBlockProfileRate}))
}

// bounded refuses a profile that would last longer than secondsMax, or that says how long in a way that net/http/pprof would take for its
// default.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := r.URL.Query().Get("seconds"); text != "" {
			if n, err := strconv.Atoi(text); err != nil || n < 1 || n > secondsMax {
				refuse(w, http.StatusBadRequest, fmt.Sprintf("seconds=%s: want a number from 1 to %d", text, secondsMax))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Refused is the header by which net/http/pprof, and so this package, marks an error whose body is its text.
const Refused = "X-Go-Pprof"

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set(Refused, "1")
	http.Error(w, text, status)
}

// sampled serves a profile of what the runtime records only at a rate that is otherwise zero. One at a
// time: the rate is the process's, and what one request ends another would miss.
type sampled struct {
	handler http.Handler
	rate    int
	set     func(rate int)
	busy    sync.Mutex
}

func (s *sampled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.busy.TryLock() {
		refuse(w, http.StatusConflict, "another profile of this kind is being taken: wait for its end")
		return
	}
	defer s.busy.Unlock()
	q := r.URL.Query()
	if q.Get("seconds") == "" {
		q.Set("seconds", strconv.Itoa(secondsDefault))
	}
	q.Del("debug") // text is of all there ever was, and net/http/pprof refuses it beside seconds
	timed := r.Clone(r.Context())
	timed.URL.RawQuery = q.Encode()
	s.set(s.rate)
	defer s.set(0)
	s.handler.ServeHTTP(w, timed) // it ends with the request's context, too
}
