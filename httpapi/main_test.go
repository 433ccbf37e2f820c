package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/engine"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")) // of the benchmark's echo: it sleeps on
}

const (
	goodToken = "token-canary-7f3a"
	badToken  = "wrong-canary-91bc"
)

// fakeEngine records what it is given, copied, and answers from its fields. It knows
// nothing of queues, groups, flow control and accounts: what asks for them panics, and so proves
// that bad input does not reach the engine. Tests of those have a real one.
type fakeEngine struct {
	LineEngine
	PullEngine
	AccountEngine
	ExtraEngine
	EventEngine
	LegacyEngine
	limits engine.Limits
	answer func(p *engine.Publish) (engine.Receipt, error) // nil: msg_<n>
	ready  error
	dead   []engine.DeadLetter
	cursor string
	endErr map[string]error // of retrying or deleting a dead letter, by id
	block  chan struct{}    // when set, Publish waits for it
	views  []engine.ScheduleInfo
	broken error // what Schedules ends with

	revoked atomic.Bool // goodToken is no longer good

	mu        sync.Mutex
	published []engine.Publish
	schedules []engine.Schedule
	queries   []engine.DeadLetterQuery
	calls     []string
}

func newFake() *fakeEngine {
	return &fakeEngine{limits: engine.Limits{
		MessageMax: 1 << 20, MaxDelay: 365 * 24 * time.Hour, MaxRetries: 100, AttemptMax: 2 * time.Hour,
	}}
}

var fakePrincipal = engine.Principal{User: 7, Admin: true}

func (e *fakeEngine) Authenticate(token []byte) (*engine.Principal, bool) {
	return &fakePrincipal, string(token) == goodToken && !e.revoked.Load()
}

func (e *fakeEngine) Stands(*engine.Principal) bool { return !e.revoked.Load() }

func (e *fakeEngine) Limits() engine.Limits { return e.limits }
func (e *fakeEngine) Ready() error          { return e.ready }

func (e *fakeEngine) Publish(p *engine.Publish) (engine.Receipt, error) {
	if e.block != nil {
		<-e.block
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.published = append(e.published, clonePublish(p))
	if e.answer != nil {
		return e.answer(p)
	}
	return engine.Receipt{MessageID: fmt.Sprintf("msg_%d", len(e.published))}, nil
}

func (e *fakeEngine) PublishBatch(ps []engine.Publish) []engine.Result {
	out := make([]engine.Result, len(ps))
	for i := range ps {
		out[i].Receipt, out[i].Err = e.Publish(&ps[i])
	}
	return out
}

// clonePublish copies everything, as the engine does by encoding it.
func clonePublish(p *engine.Publish) engine.Publish {
	c := *p
	c.URL, c.CallerIP = strings.Clone(p.URL), strings.Clone(p.CallerIP)
	c.RetryDelay, c.DedupID = strings.Clone(p.RetryDelay), strings.Clone(p.DedupID)
	c.Queue, c.Ordering, c.Flow.Key = strings.Clone(p.Queue), strings.Clone(p.Ordering), strings.Clone(p.Flow.Key)
	c.Callback, c.Failure = cloneCallback(p.Callback), cloneCallback(p.Failure)
	c.Body, c.Header = bytes.Clone(p.Body), cloneHeader(p.Header)
	c.Labels, c.Redact.Names = cloneTexts(p.Labels), cloneTexts(p.Redact.Names)
	c.Trace.Parent, c.Trace.State = strings.Clone(p.Trace.Parent), strings.Clone(p.Trace.State)
	return c
}

func cloneCallback(from *engine.Callback) *engine.Callback {
	if from == nil {
		return nil
	}
	c := *from
	c.URL, c.RetryDelay, c.Flow.Key = strings.Clone(c.URL), strings.Clone(c.RetryDelay), strings.Clone(c.Flow.Key)
	c.Header, c.Failure = cloneHeader(c.Header), cloneCallback(c.Failure)
	return &c
}

func cloneTexts(from []string) []string {
	ts := slices.Clone(from)
	for i := range ts {
		ts[i] = strings.Clone(ts[i])
	}
	return ts
}

func cloneHeader(from []engine.Header) []engine.Header {
	hs := slices.Clone(from)
	for i, h := range hs {
		hs[i] = engine.Header{Name: strings.Clone(h.Name), Value: strings.Clone(h.Value)}
	}
	return hs
}

func (e *fakeEngine) call(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, fmt.Sprintf(format, args...))
}

var viewMessage = engine.Message{
	ID: "msg_one", URL: "https://h.test/p?x=1", Method: "PUT", CallerIP: "192.0.2.1", Retries: 3, RetryDelay: "1000 * retried",
	Header: []engine.Header{{Name: "Test-Header", Value: "a"}, {Name: "Content-Type", Value: "text/plain"}, {Name: "Test-Header", Value: "b"}},
	Body:   []byte("hello \"you\""), Created: time.UnixMilli(1700000000123), NotBefore: time.UnixMilli(1700000060000),
}

func (e *fakeEngine) Message(u engine.UserID, id string) (*engine.Message, error) {
	e.call("message %d %s", u, id)
	switch id {
	case "msg_one":
		return &viewMessage, nil
	case "msg_plain":
		return &engine.Message{ID: id, URL: "http://h", Method: "POST", Created: time.UnixMilli(5), Body: []byte{0xff, 0}}, nil
	case "msg_damaged":
		return nil, fmt.Errorf("message %s: %w", id, engine.ErrDamaged)
	case "msg_panic":
		panic("failpoint")
	case "msg_strange":
		return nil, fmt.Errorf("pebble: secret detail")
	}
	return nil, engine.ErrNotFound
}

func (e *fakeEngine) Cancel(u engine.UserID, id string) error {
	e.call("cancel %d %s", u, id)
	if id != "msg_one" {
		return engine.ErrNotFound
	}
	return nil
}

func (e *fakeEngine) DeadLetters(q engine.DeadLetterQuery) ([]engine.DeadLetter, string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queries = append(e.queries, q)
	return e.dead, e.cursor, nil
}

func (e *fakeEngine) DeadLetter(u engine.UserID, id string) (*engine.DeadLetter, error) {
	e.call("dead %d %s", u, id)
	for i := range e.dead {
		if e.dead[i].ID == id {
			return &e.dead[i], nil
		}
	}
	return nil, engine.ErrNotFound
}

func (e *fakeEngine) DeleteDeadLetter(u engine.UserID, id string) error {
	e.call("delete %d %s", u, id)
	return e.endDead(u, id)
}

func (e *fakeEngine) RetryDeadLetter(u engine.UserID, id string, o *engine.RetryOptions) (string, error) {
	e.call("retry %d %s%s", u, id, describeRetry(o))
	if err := e.endDead(u, id); err != nil {
		return "", err
	}
	return "msg_again", nil
}

// CancelMany ends three messages, or as many as there are ids.
func (e *fakeEngine) CancelMany(u engine.UserID, q *engine.CancelQuery) (int, bool, error) {
	e.call("cancel %d %s", u, describeFilter(&filter{Filter: q.Filter, count: q.Count}))
	if len(q.MessageIDs) > 0 {
		return len(q.MessageIDs), false, e.endErr[q.MessageIDs[0]]
	}
	return 3, q.Count == 7, nil
}

// DeleteDeadLetters and RetryDeadLetters take two, or as many as there are ids; they fail
// with the error of the first id, behind one that went well.
func (e *fakeEngine) DeleteDeadLetters(q engine.DeadLetterQuery) (int, string, error) {
	e.call("delete %d %s", q.User, describeQuery(&q))
	ids, cursor, err := e.endDeads(&q)
	return len(ids), cursor, err
}

func (e *fakeEngine) RetryDeadLetters(q engine.DeadLetterQuery, o *engine.RetryOptions) ([]string, string, error) {
	e.call("retry %d %s%s", q.User, describeQuery(&q), describeRetry(o))
	return e.endDeads(&q)
}

func (e *fakeEngine) endDeads(q *engine.DeadLetterQuery) ([]string, string, error) {
	if len(q.IDs) == 0 {
		return []string{"msg_a", "msg_b"}, e.cursor, nil
	}
	if err := e.endErr[q.IDs[0]]; err != nil {
		return []string{"msg_a"}[:len(q.IDs)-1], "", err
	}
	ids := make([]string, len(q.IDs))
	for i := range ids {
		ids[i] = "msg_of_" + q.IDs[i]
	}
	return ids, "", nil
}

func describeQuery(q *engine.DeadLetterQuery) string {
	return describeFilter(&filter{
		Filter: q.Filter, deadIDs: q.IDs, statuses: q.Statuses, latest: q.Descending, cursor: q.Cursor, count: q.Count,
	})
}

func describeRetry(o *engine.RetryOptions) string {
	if o == nil {
		return ""
	}
	s := fmt.Sprintf(" with timeout=%s rd=%q delay=%s flow=%s labels=%v", o.Timeout, o.RetryDelay, o.Delay, describeFlow(&o.Flow), o.Labels)
	if o.Retries != nil {
		s += fmt.Sprintf(" retries=%d", *o.Retries)
	}
	if !o.NotBefore.IsZero() {
		s += fmt.Sprintf(" at=%d", o.NotBefore.Unix())
	}
	return s + describeCallback(" callback", o.Callback) + describeCallback(" failure", o.Failure)
}

// endDead fails as a dead letter's end would; the letter itself stays.
func (e *fakeEngine) endDead(u engine.UserID, id string) error {
	if err := e.endErr[id]; err != nil {
		return err
	}
	_, err := e.DeadLetter(u, id)
	return err
}

// DefineSchedule answers scd_<n>, or the id; twice-... is a duplicate, and the cron
// x is wrong.
func (e *fakeEngine) DefineSchedule(s *engine.Schedule) (engine.ScheduleReceipt, error) {
	if s.Cron == "x" {
		return engine.ScheduleReceipt{}, &engine.LimitError{Text: "invalid Upstash-Cron: want five fields"}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c := *s
	c.ID, c.Cron, c.Message = strings.Clone(s.ID), strings.Clone(s.Cron), clonePublish(&s.Message)
	e.schedules = append(e.schedules, c)
	id := c.ID
	if id == "" {
		id = fmt.Sprintf("scd_%d", len(e.schedules))
	}
	return engine.ScheduleReceipt{ID: id, Deduplicated: strings.HasPrefix(c.Message.DedupID, "twice")}, nil
}

func (e *fakeEngine) DefineSchedules(ss []engine.Schedule) []engine.ScheduleResult {
	out := make([]engine.ScheduleResult, len(ss))
	for i := range ss {
		out[i].ScheduleReceipt, out[i].Err = e.DefineSchedule(&ss[i])
	}
	return out
}

func (e *fakeEngine) Schedule(u engine.UserID, id string) (*engine.ScheduleInfo, error) {
	e.call("schedule %d %s", u, id)
	for i := range e.views {
		if e.views[i].ID == id {
			return &e.views[i], nil
		}
	}
	return nil, engine.ErrNotFound
}

func (e *fakeEngine) Schedules(_ engine.UserID, fn func(*engine.ScheduleInfo) error) error {
	for i := range e.views {
		if err := fn(&e.views[i]); err != nil {
			return err
		}
	}
	return e.broken
}

func (e *fakeEngine) changeSchedule(what string, u engine.UserID, id string) error {
	_, err := e.Schedule(u, id)
	e.call("%s %d %s", what, u, id)
	return err
}

func (e *fakeEngine) DeleteSchedule(u engine.UserID, id string) error {
	return e.changeSchedule("drop", u, id)
}

func (e *fakeEngine) PauseSchedule(u engine.UserID, id string) error {
	return e.changeSchedule("pause", u, id)
}

func (e *fakeEngine) ResumeSchedule(u engine.UserID, id string) error {
	return e.changeSchedule("resume", u, id)
}

func (e *fakeEngine) ScheduleTicks(u engine.UserID, id string, n int) ([]engine.PreviewTick, error) {
	if err := e.changeSchedule(fmt.Sprint("ticks ", n), u, id); err != nil {
		return nil, err
	}
	zone := time.FixedZone("", 2*3600)
	return []engine.PreviewTick{
		{Time: time.UnixMilli(1_700_000_000_000).In(zone)},
		{Time: time.UnixMilli(1_700_000_060_250).In(zone), Skipped: true, Note: "why"},
	}, nil
}

func (e *fakeEngine) Keys(engine.UserID) (engine.Keys, error) {
	return engine.Keys{Current: "sig_a", Next: "sig_b"}, nil
}

func (e *fakeEngine) RotateKeys(engine.UserID) (engine.Keys, error) {
	return engine.Keys{Current: "sig_b", Next: "sig_c"}, nil
}

func (e *fakeEngine) messages() []engine.Publish {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.published)
}

func (e *fakeEngine) defined() []engine.Schedule {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.schedules)
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// site is a running server with its engine.
type site struct {
	*Server
	eng  *fakeEngine
	log  *lockedBuffer
	addr string
}

func start(t testing.TB, change func(o *Options)) *site {
	t.Helper()
	return startOn(t, listen(t), change)
}

func startOn(t testing.TB, ln net.Listener, change func(o *Options)) *site {
	t.Helper()
	s := &site{eng: newFake(), log: new(lockedBuffer)}
	o := Options{Engine: s.eng, ReadTimeout: 5 * time.Second, Logger: slog.New(slog.NewTextHandler(s.log, nil))}
	if change != nil {
		change(&o)
	}
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = srv
	s.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func (s *site) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a dead connection fails the reads
	return c
}

// answer is one response, read whole.
type answer struct {
	*http.Response
	body string
}

func readAnswer(t testing.TB, br *bufio.Reader, method string) answer {
	t.Helper()
	req, _ := http.NewRequest(method, "http://x", nil)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("answer cut: %v", err)
	}
	return answer{resp, string(b)}
}

// send writes a raw request on a connection of its own and reads one answer;
// closed says whether the server ended the connection after it.
func (s *site) send(t testing.TB, raw string) (a answer, closed bool) {
	t.Helper()
	c := s.dial(t)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	method, _, _ := strings.Cut(raw, " ")
	a = readAnswer(t, br, method)
	if !a.Close { // net/http takes the header away
		return a, false
	}
	_, err := br.ReadByte()
	return a, err == io.EOF
}

// request builds a request with the good token.
func request(line string, headers ...string) string {
	return requestBody(line, "", headers...)
}

func requestBody(line, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n", line, goodToken)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

func (s *site) expectNothing(t testing.TB) {
	t.Helper()
	if got := s.eng.defined(); len(got) != 0 {
		t.Errorf("defined %d schedules, first %q", len(got), got[0].Cron)
	}
	if got := s.eng.messages(); len(got) != 0 {
		t.Errorf("published %d messages, first to %s", len(got), got[0].URL)
	}
}

// longTests says whether the tests may take their time.
func longTests() bool { return os.Getenv("TIDEMILL_LONG_TESTS") != "" }
