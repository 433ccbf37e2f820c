package httpapi

import (
	"bytes"
	"flag"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/httpapi/wirecheck"
)

var update = flag.Bool("update", false, "write openapi.json again")

// TestDocument: openapi.json is what openapi/*.yaml make.
func TestDocument(t *testing.T) {
	want, err := wirecheck.Assemble("openapi")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(documentSource, want) {
		t.Error("openapi.json is not what openapi/*.yaml make: go test ./httpapi -run TestDocument -update")
	}
}

// document is the checked document, for all tests.
var checked = sync.OnceValues(func() (*wirecheck.Document, error) { return wirecheck.Load(documentSource) })

func TestDocumentIsServed(t *testing.T) {
	s := start(t, nil)
	a, _ := s.send(t, "GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n")
	if _, err := wirecheck.Load([]byte(a.body)); a.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("%d, %d bytes: %v", a.StatusCode, len(a.body), err)
	}
	tag := a.Header.Get("ETag")
	a, closed := s.send(t, "GET /OpenAPI.json HTTP/1.1\r\nHost: t\r\nIf-None-Match: "+tag+"\r\n\r\n")
	if a.StatusCode != http.StatusNotModified || a.Header.Get("ETag") != tag || a.body != "" || closed {
		t.Errorf("with its tag: %d %q, tag %q", a.StatusCode, a.body, a.Header.Get("ETag"))
	}
	if a, _ := s.send(t, "GET /openapi.json HTTP/1.1\r\nHost: t\r\nIf-None-Match: \"0\"\r\n\r\n"); a.StatusCode != http.StatusOK || a.Header.Get("ETag") != tag {
		t.Errorf("with another tag: %d, tag %q", a.StatusCode, a.Header.Get("ETag"))
	}
	if a, _ := s.send(t, request("POST /openapi.json")); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("POST: %d %s", a.StatusCode, a.body)
	}
}

// TestOperations holds the router against the document, both ways: every operation has
// a route, every route an operation, and a path the methods that it is said to have.
func TestOperations(t *testing.T) {
	doc, err := checked()
	if err != nil {
		t.Fatal(err)
	}
	reached := map[string]bool{"options": true, "dashboard": true}
	documented := map[string]bool{}
	for _, op := range doc.Operations() {
		path := samplePath(op.Path)
		documented[op.Method+" "+path] = true
		if found, _ := doc.Find(op.Method, path); found == nil || found.Path != op.Path {
			t.Errorf("%s is found as %v", op, found)
		}
		r, _, fail := match(op.Method, []byte(path))
		switch {
		case fail == nil:
			reached[r.name] = true
		default:
			t.Errorf("%s: no route, but %d %s", op, fail.status, fail.text)
		}
	}
	for _, op := range doc.Operations() {
		path := samplePath(op.Path)
		for _, m := range methods {
			if r, _, fail := match(m, []byte(path)); fail == nil && !documented[m+" "+path] {
				if other, _ := doc.Find(m, path); other == nil {
					t.Errorf("%s %s has the route %s and no operation", m, path, r.name)
				}
			}
		}
	}
	for _, name := range routeNames(t) {
		if !reached[name] {
			t.Errorf("the document has no operation that leads to the route %q", name)
		}
	}
}

// samplePath fills in the parameters of a path.
func samplePath(path string) string {
	path = strings.ReplaceAll(path, "{destination}", "https://h.test/a//b")
	path = strings.ReplaceAll(path, "{flowControlKey}", "a%20b/c")
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(path, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, path, _ = strings.Cut(rest, "}")
		b.WriteString("x-1")
	}
}

// listen returns a listener whose every exchange is held against the document when the
// test is over. That of a benchmark is a plain one.
func listen(t testing.TB) net.Listener {
	t.Helper()
	ln := listenPlain(t)
	if _, ok := t.(*testing.T); !ok {
		return ln
	}
	r := new(wirecheck.Recorder)
	t.Cleanup(func() { checkExchanges(t, r.Exchanges()) })
	return r.Listen(ln)
}

func listenPlain(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func checkExchanges(t testing.TB, list []wirecheck.Exchange) {
	t.Helper()
	doc, err := checked()
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		e := &list[i]
		path, _, _ := strings.Cut(e.Target, "?")
		if first, _ := cutSegment([]byte(path)); outside([]byte(path)) || equalFold(first, uiName) {
			continue
		}
		if err := doc.Check(e); err != nil {
			t.Errorf("%s %.100s: %d %.300s\nis not what the document says: %v", e.Method, e.Target, e.Status, e.Content, err)
		}
	}
}
