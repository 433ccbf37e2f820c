package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFitDescriptors(t *testing.T) {
	for _, c := range []struct{ configured, limit, parallelism, idle int }{
		{1000, math.MaxInt32, 1000, 2048},
		{1000, 20_000, 1000, 2048},
		{1000, 4096, 1000, 512},
		{1000, 1024, 256, 128},
		{1000, 256, 64, 32},
		{50, 256, 50, 32},
		{1000, 3, 1, 1},
	} {
		cfg := &config{Parallelism: c.configured}
		idle := fitDescriptors(cfg, c.limit, slog.New(slog.DiscardHandler))
		if cfg.Parallelism != c.parallelism || idle != c.idle {
			t.Errorf("%d with %d files: parallelism %d, %d idle", c.configured, c.limit, cfg.Parallelism, idle)
		}
	}
}

// TestFewDescriptors: with 256 descriptors and far more messages due at once to
// destinations that do not answer, publishes go on, and once they answer everything
// arrives once (P35).
func TestFewDescriptors(t *testing.T) {
	const hosts, perHost = 8, 50
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	inflight, most, arrived := 0, 0, map[string]int{}
	first, all, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	sayFirst, sayAll := sync.OnceFunc(func() { close(first) }), sync.OnceFunc(func() { close(all) })
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		inflight++
		most = max(most, inflight)
		if inflight == 20 { // the hosts have not answered yet, so they share what is free
			sayFirst()
		}
		mu.Unlock()
		<-release
		mu.Lock()
		defer mu.Unlock()
		inflight--
		arrived[r.Header.Get("Upstash-Message-Id")]++
		if len(arrived) == hosts*perHost {
			sayAll()
		}
	})}
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})

	p := launchUnder(t, []string{"sh", "-c", `ulimit -n 256; exec "$0" "$@"`}, []string{"TMPDIR=" + t.TempDir()}, "dev", "--port", "0", "--admin.listen", "off")
	if err := p.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.stderr.String(), "delivery.parallelism is lowered") {
		t.Errorf("not told\n%s", p.output())
	}
	type item struct {
		Destination string `json:"destination"`
	}
	var batch []item
	for i := range hosts * perHost {
		batch = append(batch, item{fmt.Sprintf("http://127.0.0.%d%s/", 1+i%hosts, portOf(ln.Addr().String()))})
	}
	body, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := call(t, "POST", p.url()+"/v2/batch", devUsers[0].Token, string(body)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	await := func(what string, c <-chan struct{}) {
		select {
		case <-c:
		case <-ctx.Done():
			mu.Lock()
			defer mu.Unlock()
			t.Fatalf("%s: %d in flight, %d arrived\n%s", what, inflight, len(arrived), p.output())
		}
	}
	await("20 attempts", first)
	publishTo(t, p, p.url()+catchPrefix+"/x", "still accepted")
	close(release)
	await("all", all)
	p.stop(t)
	mu.Lock()
	defer mu.Unlock()
	if most > 64 {
		t.Errorf("%d attempts at one time", most)
	}
	for id, n := range arrived {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}
