package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFewDescriptorsForAttempts: with 256 descriptors and far more messages due at once to
// destinations that do not answer, publishes go on, and once they answer everything
// arrives once (P35).
func TestFewDescriptorsForAttempts(t *testing.T) {
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
		if inflight == 12 { // the hosts have not answered yet, so they share half of what there is
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
	if !strings.Contains(p.stderr.String(), "leaves fewer attempts") {
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
	await("12 attempts", first)
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
