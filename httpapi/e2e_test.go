package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
)

var _ Engine = (*engine.Engine)(nil)

// arrival is one delivery at the receiver of TestEndToEnd.
type arrival struct {
	header http.Header
	uri    string
	body   string
}

// TestEndToEnd publishes over the wire into the real engine, which delivers to a
// real server; a message of the future is seen and cancelled, and one that fails
// for good is found in the dead letter queue and retried.
func TestEndToEnd(t *testing.T) {
	arrivals := make(chan arrival, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		arrivals <- arrival{r.Header, r.RequestURI, string(b)}
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "404 Not Found") //nolint:errcheck // a test server
		}
	}))
	defer receiver.Close()
	addr := startReal(t)
	call := func(raw string, status int, v any) {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a dead connection fails the read
		io.WriteString(c, raw)                          //nolint:errcheck // the answer tells
		a := readAnswer(t, bufio.NewReader(c), "GET")
		if a.StatusCode != status {
			t.Fatalf("%.60s: %d %s", raw, a.StatusCode, a.body)
		}
		if err := json.Unmarshal([]byte(a.body), v); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
	}
	var sent struct{ MessageID, URL string }
	call(requestBody("POST /v2/publish/"+receiver.URL+"/a//b?x=%20", "body \x00\xff", "Content-Type: a/b", "Upstash-Forward-X: y"), 200, &sent)
	got := <-arrivals
	if got.uri != "/a//b?x=%20" || got.body != "body \x00\xff" || got.header.Get("Content-Type") != "a/b" || got.header.Get("X") != "y" ||
		got.header.Get("Upstash-Message-Id") != sent.MessageID || got.header.Get("Upstash-Signature") == "" {
		t.Errorf("arrived %+v", got)
	}

	call(requestBody("POST /v2/publish/"+receiver.URL+"/later", "soon", "Upstash-Delay: 1h"), 200, &sent)
	var m struct {
		URL, Body            string
		NotBefore, CreatedAt int64
	}
	call(request("GET /v2/messages/"+sent.MessageID), 200, &m)
	if m.Body != "soon" || m.NotBefore-m.CreatedAt < 3_600_000 || m.NotBefore-m.CreatedAt > 3_601_000 || m.URL != receiver.URL+"/later" {
		t.Errorf("message %+v", m)
	}
	var none struct{ Cancelled int }
	call(request("DELETE /v2/messages/"+sent.MessageID), 200, &none)
	call(request("GET /v2/messages/"+sent.MessageID), 404, &none)

	call(requestBody("POST /v2/batch", fmt.Sprintf(`[{"destination":"%s/fails","body":"b","headers":{"Upstash-Retries":"0"}}]`, receiver.URL)), 200, &[]any{})
	if got := <-arrivals; got.uri != "/fails" || got.body != "b" {
		t.Errorf("arrived %+v", got)
	}
	var dead struct {
		Messages []struct {
			DlqID, ResponseBody string
			ResponseStatus      int
		}
	}
	for deadline := time.Now().Add(5 * time.Second); len(dead.Messages) == 0 && time.Now().Before(deadline); {
		call(request("GET /v2/dlq"), 200, &dead)
	}
	if len(dead.Messages) != 1 || dead.Messages[0].ResponseStatus != 404 || dead.Messages[0].ResponseBody != "404 Not Found" {
		t.Fatalf("dead letters %+v", dead)
	}
	call(request("POST /v2/dlq/retry/"+dead.Messages[0].DlqID), 201, &sent)
	if got := <-arrivals; got.uri != "/fails" || got.header.Get("Upstash-Message-Id") != sent.MessageID {
		t.Errorf("retried: %+v", got)
	}
	call(request("DELETE /v2/dlq/"+dead.Messages[0].DlqID), 404, &none)
}

// otherToken is that of a second account in startReal.
const otherToken = "other-canary-55d0"

// startReal serves a real engine in a directory of the test's own.
func startReal(t testing.TB) (addr string) {
	t.Helper()
	addr, _ = startEngine(t, nil, nil)
	return addr
}

// startEngine is startReal, and returns the engine. Both log and resolver, which names are
// looked up by, may be nil.
func startEngine(t testing.TB, log *slog.Logger, resolver dispatch.Resolver) (addr string, eng *engine.Engine) {
	t.Helper()
	policy, err := dispatch.NewPolicy(dispatch.PolicyOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := dispatch.New(dispatch.Options{Policy: policy, Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	eng, err = engine.Open(engine.Options{Dir: t.TempDir(), Wire: client, SegmentSize: 4 << 20, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	keys := engine.Keys{Current: "sig_a", Next: "sig_b"}
	accounts := []engine.Account{{ID: 1, Name: "test", Token: goodToken, Keys: keys}, {ID: 2, Name: "other", Token: otherToken, Keys: keys}}
	if err := eng.Bootstrap(accounts); err != nil {
		t.Fatal(err)
	}
	srv, err := New(Options{Engine: eng, CheckDestination: policy.CheckURL, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(srv.Shutdown(ctx), <-served, eng.Shutdown(ctx), client.Close()); err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), eng
}
