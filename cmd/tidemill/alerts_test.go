package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

const alertKey = "c2VjcmV0LWNhbmFyeQ==" // of whsec_

// alertHook is a webhook that hands out the alerts it gets, if their signature is good.
func alertHook(t *testing.T) (env []string, alerts <-chan map[string]any) {
	t.Helper()
	got := make(chan map[string]any, 64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key, _ := base64.StdEncoding.DecodeString(alertKey)
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, r.Header.Get("Webhook-Id")+"."+r.Header.Get("Webhook-Timestamp")+"."+string(body))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("Webhook-Signature") != want || r.URL.Path != "/canary-hook" {
			t.Errorf("%s has signature %q, want %q", r.URL, r.Header.Get("Webhook-Signature"), want)
		}
		v := map[string]any{}
		if err := json.Unmarshal(body, &v); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		got <- v
	}))
	t.Cleanup(srv.Close)
	return []string{
		"TIDEMILL_ALERTS_WEBHOOK=" + srv.URL + "/canary-hook", "TIDEMILL_ALERTS_WEBHOOK_SECRET=whsec_" + alertKey, "TMPDIR=" + t.TempDir(),
	}, got
}

// nextAlert wants an alert of a kind about a host, "" for none.
func nextAlert(t *testing.T, p *process, alerts <-chan map[string]any, kind, host string) map[string]any {
	t.Helper()
	select {
	case v := <-alerts:
		about, _ := v["host"].(string)
		text, _ := v["text"].(string)
		if v["kind"] != kind || about != host || !strings.Contains(text, host) || v["server"] == "" || v["time"] == "" {
			t.Errorf("the alert is %v, want %s of %s", v, kind, host)
		}
		if strings.Contains(text, "canary") {
			t.Errorf("an alert holds a part of a URL that is no host: %v", v)
		}
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no alert %s of %s\n%s", kind, host, p.output())
		return nil
	}
}

// TestAlerts: the webhook hears of a host that stops answering, of its first dead letter, and that it answers again.
func TestAlerts(t *testing.T) {
	env, alerts := alertHook(t)
	addr := freeAddr(t)
	p := launch(t, env, "dev", "--port", "0")
	if err := p.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	host := "http://" + addr
	for range 12 {
		publishTo(t, p, host+"/canary-path?key=canary", "canary", "Upstash-Retries", "0")
	}
	seen := map[string]bool{}
	for range 2 { // the first dead letter comes before the eighth failure, but both are on their way at once
		select {
		case v := <-alerts:
			seen[fmt.Sprint(v["kind"], " ", v["host"])] = true
		case <-time.After(20 * time.Second):
			t.Fatalf("no alert after %v\n%s", seen, p.output())
		}
	}
	if !seen["dead_letter "+host] || !seen["circuit_opened "+host] {
		t.Errorf("alerts are %v", seen)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("the address was taken by another: %v", err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	publishTo(t, p, host+"/canary-path", "x", "Upstash-Retries", "0")
	nextAlert(t, p, alerts, "circuit_closed", host)
	p.stop(t)
	if n := len(alerts); n != 0 {
		t.Errorf("%d more alerts, one is %v", n, <-alerts)
	}
	if strings.Contains(p.output(), "canary") {
		t.Errorf("the webhook, its key or a path is shown:\n%s", p.output())
	}
}

// TestAlertOfLowDisk: on a disk below its floor the log takes no message, and the alert arrives none the less.
func TestAlertOfLowDisk(t *testing.T) {
	env, alerts := alertHook(t)
	p := launch(t, env, "dev", "--port", "0", "--data.min-free", almostAll(t))
	if err := p.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if status, body := call(t, "POST", p.url()+"/v2/publish/http://127.0.0.1:1/", devUsers[0].Token, "x"); status != 507 {
		t.Errorf("a publish: %d %s", status, body)
	}
	if v := nextAlert(t, p, alerts, "disk_low", ""); v["free_bytes"] == nil || v["min_free_bytes"] == nil {
		t.Errorf("the alert is %v", v)
	}
	p.stop(t)
}

// TestAlertsConfig: a webhook that is no URL is refused at the start, and not shown.
func TestAlertsConfig(t *testing.T) {
	p := launch(t, []string{"TIDEMILL_ALERTS_WEBHOOK=canary-hook", "TMPDIR=" + t.TempDir()}, "dev", "--port", "0")
	if code := p.wait(t); code != int(exit.Config) || !strings.Contains(p.stderr.String(), "alerts.webhook") || strings.Contains(p.output(), "canary") {
		t.Errorf("exit status %d\n%s", code, p.output())
	}
}

// almostAll is nearly the size of the file system of temporary files, so that less than that is free.
func almostAll(t *testing.T) string {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(t.TempDir(), &fs); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%dMiB", int64(fs.Blocks)*int64(fs.Bsize)>>20-1)
}
