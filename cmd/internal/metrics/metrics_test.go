package metrics

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/httpapi"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// world is a running server: log, index, engine, client and API, with an exporter.
type world struct {
	t      testing.TB
	engine *engine.Engine
	url    string // of the API
	sink   string // URL of a destination that answers as its path says
	*Exporter
}

const testToken = "canary-token-7f3a"

func newWorld(t testing.TB) *world {
	t.Helper()
	dest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/fail") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(dest.Close)
	policy, err := dispatch.NewPolicy(dispatch.PolicyOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := dispatch.New(dispatch.Options{Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	e, err := engine.Open(engine.Options{Dir: t.TempDir(), Wire: client, SegmentSize: 4 << 20, MemtableSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(t.Context()) })
	account := engine.Account{ID: 1, Name: "canary-account", Token: testToken, Keys: engine.Keys{Current: "sig_canarycurrent", Next: "sig_canarynext"}}
	if err := e.Bootstrap([]engine.Account{account}); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, engine: e, sink: dest.URL, Exporter: New()}
	w.Watch(e, client)
	w.serve()
	return w
}

func (w *world) serve() {
	api, err := httpapi.New(httpapi.Options{Engine: w.engine, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	go api.Serve(ln) //nolint:errcheck // it ends with Shutdown
	w.t.Cleanup(func() { _ = api.Shutdown(w.t.Context()) })
	w.url = "http://" + netip.MustParseAddrPort(ln.Addr().String()).String()
	w.WatchAPI(api)
}

// call makes a request and returns the status.
func (w *world) call(method, path, body string, header ...string) int {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode
}

// scrape returns what Prometheus would get.
func (w *world) scrape() string {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != http.StatusOK {
		w.t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func (w *world) families() map[string]*dto.MetricFamily {
	w.t.Helper()
	list, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range list {
		out[f.GetName()] = f
	}
	return out
}

// value returns one number of the families: of a histogram its count. labels are the
// values, in the order of the labels' names.
func value(fs map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	for _, m := range fs["tidemill_"+name].GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetValue())
		}
		if !slices.Equal(have, labels) {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.Counter.GetValue()
		case m.Gauge != nil:
			return m.Gauge.GetValue()
		}
		return float64(m.Histogram.GetSampleCount())
	}
	return -1
}

// await scrapes until a value is there.
func (w *world) await(want float64, name string, labels ...string) map[string]*dto.MetricFamily {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		fs := w.families()
		got := value(fs, name, labels...)
		if got == want {
			return fs
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s %v is %v, want %v", name, labels, got, want)
		}
	}
}

// use sends some of everything through the server.
func (w *world) use() {
	w.t.Helper()
	want := func(status int, method, path, body string, header ...string) {
		w.t.Helper()
		if got := w.call(method, path, body, header...); got != status {
			w.t.Fatalf("%s %s: status %d, want %d", method, path, got, status)
		}
	}
	want(200, "POST", "/v2/publish/"+w.sink+"/ok?canary-query=7f3a", "canary-body", "Upstash-Forward-Canary: canary-header", "Upstash-Deduplication-Id: canary-dedup")
	want(202, "POST", "/v2/publish/"+w.sink+"/ok?canary-query=7f3a", "canary-body", "Upstash-Deduplication-Id: canary-dedup")
	want(200, "POST", "/v2/publish/"+w.sink+"/fail", "x", "Upstash-Retries: 0", "Upstash-Failure-Callback: "+w.sink+"/canary-callback")
	want(200, "POST", "/v2/publish/"+w.sink+"/later", "x", "Upstash-Delay: 1h", "Upstash-Flow-Control-Key: canary-flow", "Upstash-Flow-Control-Value: rate=1")
	want(200, "POST", "/v2/enqueue/orders/"+w.sink+"/ok", "x", "Upstash-Delay: 1h")
	want(400, "POST", "/v2/publish/"+w.sink+"/ok", "x", "Upstash-Delay: 10000d")
	want(404, "GET", "/canary-path", "")
	want(401, "GET", "/v2/dlq", "", "Authorization: Bearer canary-wrong")
	want(200, "POST", "/v1/publish", `{"queue":"jobs","message":"canary-message"}`)
	want(200, "POST", "/v1/queues", `{"name":"hooks","webhook_url":"http://127.0.0.1:1/canary-hook","webhook_secret":"canary-webhook-secret-0123456789"}`)
}

// TestNumbers: what happened is what is shown.
func TestNumbers(t *testing.T) {
	w := newWorld(t)
	w.use()
	if _, err := w.engine.Publish(&engine.Publish{User: 1, URL: w.sink, Retries: -1}); err == nil {
		t.Fatal("a publish with -1 retries was accepted")
	}
	w.await(1, "message_outcomes_total", "dead")
	w.await(1, "dead_letters")
	fs := w.await(2, "message_outcomes_total", "delivered") // the first one, and the failure callback
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{5, "publishes_total", []string{"accepted"}},
		{1, "publishes_total", []string{"duplicate"}},
		{1, "publishes_refused_total", []string{"4xx", "invalid"}},
		{6, "messages_published_total", nil},
		{1, "callbacks_published_total", nil},
		{3, "messages_pending", nil},
		{2, "attempts_total", []string{"2xx"}},
		{1, "attempts_total", []string{"5xx"}},
		{3, "attempt_lateness_seconds", nil},
		{3, "attempt_stage_duration_seconds", []string{"permit"}},
		{3, "attempt_stage_duration_seconds", []string{"outcome"}},
		{3, "attempt_stage_duration_seconds", []string{"total"}},
		{1, "dead_letters_added_total", []string{"exhausted"}},
		{0, "attempts_in_flight", []string{"other"}},
		{1, "flow_messages", nil},
		{1, "flow_keys", nil},
		{1, "queue_messages", []string{"1", "orders"}},
		{0, "queue_messages", []string{"", ""}},
		{1, "pull_queue_messages", []string{"1", "jobs", "pending"}},
		{0, "pull_queue_messages", []string{"1", "hooks", "pending"}},
		{1, "pull_queue_events_total", []string{"1", "published", "jobs"}},
		{2, "pull_queues", nil},
		{1, "http_requests_total", []string{"4xx", "other"}},
		{6, "http_requests_total", []string{"2xx", "publish"}},
		{1, "http_requests_total", []string{"4xx", "publish"}},
		{1, "http_unauthenticated_total", nil},
		{1, "ready", nil},
		{0, "panics_total", []string{"attempt"}},
	} {
		if got := value(fs, c.name, c.labels...); got != c.want {
			t.Errorf("%s %v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for _, positive := range []string{"log_group_records", "log_group_bytes", "log_sync_duration_seconds", "log_bytes", "index_batch_duration_seconds"} {
		if value(fs, positive) <= 0 {
			t.Errorf("%s is %v", positive, value(fs, positive))
		}
	}
}

// TestTable compares the handbook's table with what a running server answers, in both
// directions: names, types, labels and meanings.
func TestTable(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the process collector knows other metrics elsewhere")
	}
	w := newWorld(t)
	w.use()
	w.await(1, "dead_letters")
	have := map[string]string{}
	for name, f := range w.families() {
		have[name] = row(name, strings.ToLower(f.GetType().String()), labelsOf(f), f.GetHelp())
	}
	want := handbook(t)
	for name, r := range have {
		if want[name] != r {
			t.Errorf("the server has\n\t%s\nthe handbook has\n\t%s", r, want[name])
		}
	}
	for name := range want {
		if have[name] == "" {
			t.Errorf("the handbook has %s, the server does not", name)
		}
	}
	for _, f := range table {
		if have[f.name] == "" {
			t.Errorf("%s is declared and not shown", f.name)
		}
	}
}

func row(name, kind, labels, help string) string {
	return fmt.Sprintf("| `%s` | %s | %s | %s |", name, kind, labels, help)
}

func labelsOf(f *dto.MetricFamily) string {
	var names []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		names = append(names, l.GetName())
	}
	return strings.Join(names, ", ")
}

// handbook returns the rows of the table of metrics, by name.
func handbook(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../tidemill/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	out := map[string]string{}
	for line := range strings.Lines(section) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			if out[name] != "" {
				t.Errorf("%s is in the table twice", name)
			}
			out[name] = strings.TrimSpace(line)
		}
	}
	return out
}

// TestLint holds our names against Prometheus' own rules.
func TestLint(t *testing.T) {
	w := newWorld(t)
	w.use()
	var ours []*dto.MetricFamily
	for name, f := range w.families() {
		if strings.HasPrefix(name, "tidemill_") {
			ours = append(ours, f)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(ours).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestNoSecrets: nothing that a producer, a consumer or an operator gave us to keep is in a
// scrape (P45).
func TestNoSecrets(t *testing.T) {
	w := newWorld(t)
	w.use()
	w.await(1, "message_outcomes_total", "dead")
	text := w.scrape()
	for _, secret := range []string{"canary", "127.0.0.1", "http://", "sig_", "msg_"} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%q is in the scrape: ...%s...", secret, text[max(i-60, 0):min(i+60, len(text))])
		}
	}
	if !strings.Contains(text, `queue="orders"`) || !strings.Contains(text, `queue="jobs"`) {
		t.Error("the names of queues are not in the scrape")
	}
}

// TestStarting: a server that recovers its log can be scraped.
func TestStarting(t *testing.T) {
	w := &world{t: t, Exporter: New()}
	fs := w.families()
	if value(fs, "ready") != 0 || fs["tidemill_build_info"] == nil || fs["go_goroutines"] == nil {
		t.Errorf("a server that starts shows %d metrics, ready %v", len(fs), value(fs, "ready"))
	}
	if fs["tidemill_log_bytes"] != nil {
		t.Error("a server that starts shows a log")
	}
}

// TestStopped: so can one whose engine is gone.
func TestStopped(t *testing.T) {
	w := newWorld(t)
	if err := w.engine.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	fs := w.families()
	if got := value(fs, "ready"); got != 0 {
		t.Errorf("a server that has stopped is ready: %v", got)
	}
	if fs["tidemill_lanes"] != nil || fs["tidemill_index_bytes"] != nil {
		t.Error("a server that has stopped tells of its lanes and its index")
	}
}
