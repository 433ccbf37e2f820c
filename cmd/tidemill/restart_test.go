package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// restartsEnv is the number of restarts of TestRestarts: 50 at night, a handful in CI.
const restartsEnv = "TIDEMILL_RESTARTS"

// TestRestarts is P37: a server behind a socket that systemd holds is stopped and started
// again under load. Every publish is answered with 200, whether its connection is new or
// kept alive, and every message is delivered exactly once.
func TestRestarts(t *testing.T) {
	rounds := 5
	if v := os.Getenv(restartsEnv); v != "" {
		rounds, _ = strconv.Atoi(v)
	}
	m, dir, sink := newServiceManager(t, "api"), t.TempDir(), newRestartSink(t)
	begin := func() *process {
		// A long timeout is long patience for a client that this machine keeps from running.
		p := m.launch(nil, "serve", "--data", dir, "--admin.listen", "off", "--destinations.allow", "127.0.0.1", "--shutdown.timeout", "60s")
		if err := p.ready(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := begin()
	load := &restartLoad{url: "http://" + m.addrs[0] + "/v2/publish/" + sink.url, token: readCredentials(t, dir).Token}
	load.start(t, 4, 4)
	var stops []time.Duration
	for range rounds {
		load.await(t, load.acked.Load()+500)
		began := time.Now()
		p.stop(t)
		stops = append(stops, time.Since(began))
		p = begin()
	}
	load.await(t, load.acked.Load()+500)
	load.end()
	if n := load.failed.Load(); n > 0 {
		t.Errorf("%d requests failed, the first: %v", n, load.first.Load())
	}
	sink.await(t, load.acked.Load())
	p.stop(t)
	if n := sink.duplicates(); n > 0 {
		t.Errorf("%d messages came twice", n)
	}
	t.Logf("%d restarts under load: %d publishes, %d of them on new connections, %d failed, %d delivered, %d twice; stops took %v",
		rounds, load.acked.Load(), load.fresh.Load(), load.failed.Load(), sink.count(), sink.duplicates(), stops)
}

// restartLoad publishes without a break. Nothing is tried again.
type restartLoad struct {
	url, token           string
	acked, fresh, failed atomic.Int64
	first                atomic.Pointer[error]
	ctx                  context.Context
	stop                 context.CancelFunc
	wg                   sync.WaitGroup
}

// start begins with so many clients that keep a connection alive and that open one for
// each request.
func (l *restartLoad) start(t *testing.T, keeping, opening int) {
	l.ctx, l.stop = context.WithCancel(t.Context())
	t.Cleanup(l.end)
	for i := range keeping + opening {
		l.wg.Go(func() { l.publish(i, i >= keeping) })
	}
}

func (l *restartLoad) publish(client int, opens bool) {
	tr := &http.Transport{DisableKeepAlives: opens, MaxConnsPerHost: 1}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: time.Minute}
	for i := 0; l.ctx.Err() == nil; i++ {
		if err := l.one(c, fmt.Sprintf("%d/%d", client, i)); err != nil {
			l.failed.Add(1)
			l.first.CompareAndSwap(nil, &err)
			continue
		}
		l.acked.Add(1)
		if opens {
			l.fresh.Add(1)
		}
	}
}

func (l *restartLoad) one(c *http.Client, name string) error {
	req, err := http.NewRequest("POST", l.url+name, strings.NewReader(name))
	if err != nil {
		return err
	}
	req.GetBody = nil // the transport must not send it again by itself
	req.Header.Set("Authorization", "Bearer "+l.token)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// await waits until so many were acknowledged.
func (l *restartLoad) await(t *testing.T, n int64) {
	t.Helper()
	for began := time.Now(); l.acked.Load() < n; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute || l.failed.Load() > 0 {
			if err := l.first.Load(); err != nil {
				t.Fatalf("%d of %d acknowledged, %d failed: %v", l.acked.Load(), n, l.failed.Load(), *err)
			}
			t.Fatalf("%d of %d acknowledged", l.acked.Load(), n)
		}
	}
}

func (l *restartLoad) end() {
	l.stop()
	l.wg.Wait()
}

// restartSink is a destination that counts what comes, by path.
type restartSink struct {
	url string

	mu    sync.Mutex
	seen  map[string]int
	twice int
}

func newRestartSink(t *testing.T) *restartSink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &restartSink{url: "http://" + ln.Addr().String() + "/", seen: map[string]int{}}
	srv := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return s
}

func (s *restartSink) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[r.URL.Path]++; s.seen[r.URL.Path] > 1 {
		s.twice++
	}
}

func (s *restartSink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func (s *restartSink) duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.twice
}

func (s *restartSink) await(t *testing.T, n int64) {
	t.Helper()
	for began := time.Now(); int64(s.count()) < n; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d of %d messages were delivered", s.count(), n)
		}
	}
	if got := int64(s.count()); got > n {
		t.Errorf("%d messages were delivered, %d acknowledged, none was in doubt", got, n)
	}
}
