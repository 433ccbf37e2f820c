package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// counting is a destination that answers 500 below /fail and 200 elsewhere, and counts.
type counting struct {
	url  string
	mu   sync.Mutex
	n    int
	want int           // 0: not known yet
	all  chan struct{} // closed when there were as many
}

func newCounting(t *testing.T) *counting {
	t.Helper()
	c := &counting{all: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/fail") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		c.add(1, 0)
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

// add counts requests, and takes how many there will be.
func (c *counting) add(n, want int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	c.want = max(c.want, want)
	if c.n == c.want {
		close(c.all)
	}
}

// logLines are the lines of a server's log, which are JSON where it is no terminal.
func logLines(t testing.TB, text string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("a line that is no JSON: %q", line)
		}
		lines = append(lines, m)
	}
	return lines
}

// TestNothingPerMessage: 10,000 messages, half of which fail and become dead letters, leave the log as
// it was but for the first dead letter of their host; the lines of a life are there, in order.
func TestNothingPerMessage(t *testing.T) {
	const messages, batch = 10_000, 500
	sink := newCounting(t)
	p := start(t, "dev", "--port", "0", "--admin.listen", "127.0.0.1:0")
	var body strings.Builder
	for i := range batch {
		path := []string{"ok", "fail"}[i%2]
		fmt.Fprintf(&body, `,{"destination":"%s/%s/%d","headers":{"Upstash-Retries":"0"},"body":"x"}`, sink.url, path, i)
	}
	accepted := 0
	for accepted < messages { // on a busy machine some may be refused
		status, answer := call(t, "POST", p.url()+"/v2/batch", devUsers[0].Token, "["+body.String()[1:]+"]")
		if status != 200 && status != 503 {
			t.Fatalf("%d %.200s", status, answer)
		}
		accepted += strings.Count(answer, `"messageId"`)
	}
	sink.add(0, accepted)
	select {
	case <-sink.all:
	case <-time.After(60 * time.Second):
		t.Fatal("not all were attempted\n" + p.output())
	}
	p.stop(t)
	want := []string{
		"starting", "listening", "wal: opened", "engine: opened", "ready: requests are accepted",
		"engine: messages to a host become dead letters; it is told again after a day without any",
		"stopping", "wal: closed", "stopped",
	}
	last := logLines(t, p.stderr.String())
	if n := last[len(last)-1]; n["accepted"] != float64(accepted) || n["delivered"].(float64)+n["dead_letters"].(float64) != float64(accepted) || n["dead_letters"] == 0.0 {
		t.Errorf("the last line is %v", n)
	}
	var got []string
	for _, line := range logLines(t, p.stderr.String()) {
		text := line["msg"].(string)
		if !strings.HasPrefix(text, "engine: publishes are ") { // one line when they are refused, and one when no more
			got = append(got, text)
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestStartingLine: the first line says what is not at its default, and no more.
func TestStartingLine(t *testing.T) {
	p := start(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin.listen", "off", "--delivery.parallelism", "7", "--message.max-size", "1MiB")
	p.stop(t)
	first := logLines(t, p.stderr.String())[0]
	settings, _ := first["settings"].(map[string]any)
	if first["msg"] != "starting" || settings["delivery.parallelism"] != "7" || settings["message.max-size"] != nil || len(settings) != 4 {
		t.Errorf("the first line is %v", first)
	}
	if version, _ := first["version"].(string); !strings.Contains(version, "tidemill") {
		t.Errorf("the version is %q", version)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if !p.stderr.await(ctx, `"first start: a token and signing keys were made"`) {
		t.Error("the first start has no line")
	}
}
