package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMeasureSyncs: flushes are timed, and nothing stays behind, not even after an interrupt.
func TestMeasureSyncs(t *testing.T) {
	dir := t.TempDir()
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), interrupted} {
		s, err := measureSyncs(ctx, dir, time.Millisecond)
		if err != nil || (len(s.took) > 0) != (ctx.Err() == nil) {
			t.Errorf("%+v, %v", s, err)
		}
		var sum time.Duration
		for _, took := range s.took {
			sum += took
		}
		if sum > s.elapsed {
			t.Errorf("flushes of %v in %v", sum, s.elapsed)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
	if _, err := measureSyncs(t.Context(), filepath.Join(dir, "none"), time.Millisecond); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestDirFacts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte("999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d := dirFactsOf(dir); !d.isDir || d.missing || d.strange == nil || !strings.Contains(d.strange.Error(), `layout version "999"`) {
		t.Errorf("%+v", d)
	}
	if err := os.Remove(filepath.Join(dir, "VERSION")); err != nil {
		t.Fatal(err)
	}
	if d := dirFactsOf(dir); d.strange != nil || d.err != nil {
		t.Errorf("an empty directory: %+v", d)
	}
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if d := dirFactsOf(dir); d.strange == nil || !strings.Contains(d.strange.Error(), "thesis.txt") {
		t.Errorf("somebody's home: %+v", d)
	}
	if d := dirFactsOf(filepath.Join(dir, "a", "b")); !d.missing || d.parent != dir || d.strange != nil {
		t.Errorf("a directory to be made: %+v", d)
	}
	if d := dirFactsOf(filepath.Join(dir, "thesis.txt")); d.isDir || d.err != nil {
		t.Errorf("a file: %+v", d)
	}
}

func TestNewest(t *testing.T) {
	dir := t.TempDir()
	if got := newestIn(dir); !got.IsZero() {
		t.Errorf("no log: %v", got)
	}
	if err := os.Mkdir(filepath.Join(dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := time.Unix(2_000_000_000, 0)
	for i := range 3 {
		name := filepath.Join(dir, "log", fmt.Sprint(i))
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, want, want.Add(-time.Duration(i)*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if got := newestIn(dir); !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAsk(t *testing.T) {
	var status int
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer srv.Close()
	for _, c := range []struct {
		status int
		body   string
		want   string
	}{
		{200, `{"status":"ok","damaged":0,"damaged_messages":0}`, "ok: accepts"},
		{200, `{"status":"ok","damaged":1,"damaged_messages":2}`, "warn: 3 damaged"},
		{503, `{"error":"starting"}`, "warn: starting"},
		{200, "hello", "fail: not what a tidemill answers"},
		{404, `{"error":"no"}`, "fail: 404"},
	} {
		status, body = c.status, c.body
		s := &serverFacts{url: srv.URL, asked: true}
		s.ask(t.Context())
		verdicts{{c.body, judgeServer(s), c.want}}.check(t)
	}
	s := &serverFacts{url: "http://127.0.0.1:1", asked: true}
	if s.ask(t.Context()); s.answers || s.err == nil {
		t.Errorf("%+v", s)
	}
}

func TestTryListen(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := tryListen(addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
	ln.Close()
	for range 2 { // it is given back
		if err := tryListen(addr); err != nil {
			t.Error(err)
		}
	}
}
