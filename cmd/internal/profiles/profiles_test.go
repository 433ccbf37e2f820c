package profiles

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/pprof/profile"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, Path+path, nil))
	return w
}

// TestKinds: each kind of profile can be had, and those that pprof reads can be read.
func TestKinds(t *testing.T) {
	mux := http.NewServeMux()
	Register(mux)
	t.Run("kinds", func(t *testing.T) {
		for _, kind := range []string{"heap", "allocs", "goroutine", "threadcreate", "profile?seconds=1", "mutex?seconds=1", "block?seconds=1"} {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				w := get(t, mux, kind)
				if w.Code != http.StatusOK {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				p, err := profile.Parse(w.Body)
				if err != nil || len(p.SampleType) == 0 {
					t.Fatalf("no profile: %v", err)
				}
			})
		}
	})
	for _, path := range []string{"", "cmdline", "trace?seconds=1"} {
		if w := get(t, mux, path); w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%q: %d", path, w.Code)
		}
	}
	for _, path := range []string{"profile?seconds=0", "profile?seconds=601", "trace?seconds=x", "mutex?seconds=-1", "heap?seconds=1e9"} {
		if w := get(t, mux, path); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", path, w.Code)
		}
	}
	if rate := runtime.SetMutexProfileFraction(-1); rate != 0 {
		t.Errorf("the fraction of mutexes is left at %d", rate)
	}
}

// TestRateIsRestored: the rate is set while a profile is taken and zero afterwards, also when the client
// went away or the handler failed; a second one at the same time is told to wait.
func TestRateIsRestored(t *testing.T) {
	var mu sync.Mutex
	var rates []int
	entered, leave := make(chan struct{}), make(chan struct{})
	s := &sampled{rate: 7, set: func(n int) {
		mu.Lock()
		defer mu.Unlock()
		rates = append(rates, n)
	}}
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query(); got.Get("seconds") == "" || got.Get("debug") != "" {
			t.Errorf("asked for %s", r.URL.RawQuery)
		}
		entered <- struct{}{}
		select {
		case <-leave:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	})
	want := func(all ...int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(rates, all) {
			t.Errorf("rates were %v, want %v", rates, all)
		}
		rates = nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { get(t, s, "mutex?debug=1") })
	<-entered
	if w := get(t, s, "mutex"); w.Code != http.StatusConflict {
		t.Errorf("a second one: %d", w.Code)
	}
	want(7)
	leave <- struct{}{}
	wg.Wait()
	want(0)

	srv := httptest.NewServer(s)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+Path+"mutex?seconds=3", nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			io.Copy(io.Discard, resp.Body) //nolint:errcheck // it is cut off
			resp.Body.Close()
		}
	})
	<-entered
	cancel()
	wg.Wait()
	srv.Close() // waits for the handler
	want(7, 0)
}
