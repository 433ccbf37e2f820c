package main

import (
	"crypto/tls"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// deadReason waits until a message without retries is dead, and returns why.
func deadReason(t testing.TB, p *process, token, id string) string {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		_, body := call(t, "GET", p.url()+"/v2/dlq?messageId="+id, token, "")
		var page struct{ Messages []struct{ Error string } }
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Messages) > 0 {
			return page.Messages[0].Error
		}
	}
	t.Fatalf("message %s does not become a dead letter\n%s", id, p.output())
	return ""
}

func published(t testing.TB, p *process, token, destination string) (id string) {
	t.Helper()
	status, body := call(t, "POST", p.url()+"/v2/publish/"+destination, token, "x", "Upstash-Retries", "0")
	var answer struct{ MessageID string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatalf("%s: %d %s", destination, status, body)
	}
	return answer.MessageID
}

// TestNotToItself: with every loopback address allowed, serve still sends nothing
// to its own listeners, by address or by name; dev keeps its receiver and guards
// the admin listener.
func TestNotToItself(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0",
		"--destinations.allow", "127.0.0.0/8,::1,localhost,0.0.0.0")
	token := readCredentials(t, dir).Token
	port := func(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }
	for _, own := range []string{
		p.url(), p.admin(), "http://0.0.0.0:" + port(p.url()), "http://[::ffff:127.0.0.1]:" + port(p.admin()),
	} {
		status, body := call(t, "POST", p.url()+"/v2/publish/"+own+"/healthz", token, "x")
		if status != 400 || !strings.Contains(body, "endpoint is this server itself: ") {
			t.Errorf("%s: %d %s", own, status, body)
		}
	}
	id := published(t, p, token, "http://localhost:"+port(p.admin())+"/healthz")
	if got := deadReason(t, p, token, id); !strings.HasPrefix(got, "endpoint is this server itself: 127.0.0.1:") {
		t.Errorf("by name: %q", got)
	}
	p.stop(t)

	p = start(t, "dev", "--port", "0", "--admin.listen", "127.0.0.1:0") // its receiver: TestBannerCurl
	status, body := call(t, "POST", p.url()+"/v2/publish/"+p.admin()+"/debug/pprof/", devUsers[0].Token, "x")
	if status != 400 || !strings.Contains(body, "endpoint is this server itself: ") {
		t.Errorf("dev, admin: %d %s", status, body)
	}
	p.stop(t)
}

// TestOwnAuthorities: a destination with a certificate of a private authority is
// delivered to with destinations.ca-file, and refused without.
func TestOwnAuthorities(t *testing.T) {
	der, key := selfSigned(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(asPEM(der)), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, done := make(chan struct{}, 4), make(chan struct{})
	srv := &http.Server{
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	go func() { defer close(done); _ = srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	url := "https://localhost" + portOf(ln.Addr().String())

	p := start(t, "dev", "--port", "0", "--admin.listen", "off", "--destinations.ca-file", file)
	publishTo(t, p, url, "x")
	select {
	case <-arrived:
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing arrived\n%s", p.output())
	}
	p.stop(t)

	p = start(t, "dev", "--port", "0", "--admin.listen", "off")
	id := published(t, p, devUsers[0].Token, url)
	if got := deadReason(t, p, devUsers[0].Token, id); !strings.Contains(got, "signed by unknown authority") {
		t.Errorf("without it: %q", got)
	}
	p.stop(t)
	if len(arrived) != 0 {
		t.Error("a request arrived without a trusted certificate")
	}
}

// TestShippedWithoutC: the resolver of the C library reads 2130706433, 0x7f.1 and
// 127.1 as addresses, so no binary that is run or shipped has it: every build says
// CGO_ENABLED=0, and one that does not gets Go's resolver by its own directive.
func TestShippedWithoutC(t *testing.T) {
	info, err := buildinfo.ReadFile(builtBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["CGO_ENABLED"] != "0" || !strings.Contains(settings["DefaultGODEBUG"], "netdns=go") {
		t.Errorf("built with %v", settings)
	}
	builds := regexp.MustCompile(`\bgo (build|install|run)\b`)
	found := 0
	for _, file := range []string{"../../Makefile", "../../.ci/run", "../../README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !builds.MatchString(line) || strings.HasPrefix(line, "#") {
				continue
			}
			if found++; !strings.Contains(line, "CGO_ENABLED=0 go") {
				t.Errorf("%s builds with C: %s", file, line)
			}
		}
	}
	if found < 2 {
		t.Errorf("%d builds found, the Makefile alone has two", found)
	}
}
