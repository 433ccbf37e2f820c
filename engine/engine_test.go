package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/dispatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeWire records attempts and answers as told.
type fakeWire struct {
	mu     sync.Mutex
	got    []fakeAttempt
	arrive chan fakeAttempt
	reply  func(a *fakeAttempt, r *dispatch.Result)
}

type fakeAttempt struct {
	url, method string
	header      map[string]string
	body        []byte
}

func newFakeWire() *fakeWire { return &fakeWire{arrive: make(chan fakeAttempt, 1<<16)} }

func (w *fakeWire) Do(a *dispatch.Attempt, r *dispatch.Result) {
	got := fakeAttempt{url: a.URL, method: a.Method, header: map[string]string{}, body: bytes.Clone(a.Body)}
	for _, h := range a.Header {
		got.header[h.Name] = h.Value
	}
	*r = dispatch.Result{Status: 200}
	w.mu.Lock()
	w.got = append(w.got, got)
	if w.reply != nil {
		w.reply(&got, r)
	}
	w.mu.Unlock()
	w.arrive <- got
}

func (w *fakeWire) next(t *testing.T) fakeAttempt {
	t.Helper()
	select {
	case a := <-w.arrive:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no attempt within 20 s")
		panic("unreachable")
	}
}

func testOptions(fs vfs.FS, w Wire) Options {
	return Options{
		Dir: "data", FS: fs, Wire: w, SegmentSize: 4 << 20, MemtableSize: 1 << 20, CacheSize: 1 << 20,
		OnFatal: func(error) {},
	}
}

func open(t *testing.T, o Options) *Engine {
	t.Helper()
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		t.Fatal(err)
	}
	return e
}

var testAccount = Account{ID: 1, Name: "one", Token: "token", Keys: Keys{Current: "sig_current", Next: "sig_next"}}

func closeEngine(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func publish(t *testing.T, e *Engine, p Publish) string {
	t.Helper()
	if p.User == 0 {
		p.User = 1
	}
	if p.URL == "" {
		p.URL = "http://example.com/hook"
	}
	r, err := e.Publish(&p)
	if err != nil {
		t.Fatal(err)
	}
	return r.MessageID
}

func TestDeliversWhatWasPublished(t *testing.T) {
	w := newFakeWire()
	e := open(t, testOptions(vfs.NewMem(), w))
	id := publish(t, e, Publish{Body: []byte("hello"), Header: []Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Own", Value: "1"}}, CallerIP: "1.2.3.4"})
	got := w.next(t)
	if string(got.body) != "hello" || got.url != "http://example.com/hook" || got.method != "POST" {
		t.Errorf("delivered %+v", got)
	}
	for name, want := range map[string]string{
		"Upstash-Message-Id": id, "Upstash-Retried": "0", "User-Agent": "Upstash-QStash",
		"Content-Type": "text/plain", "X-Own": "1", "Upstash-Caller-Ip": "1.2.3.4", "Upstash-Region": "EU-CENTRAL-1",
	} {
		if got.header[name] != want {
			t.Errorf("%s: %q, want %q", name, got.header[name], want)
		}
	}
	eventually(t, func() bool { _, err := e.Message(1, id); return errors.Is(err, ErrNotFound) })
}

// eventually waits for what the engine does on its own account, without a signal
// to wait for.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("did not happen within 20 s")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRetriesThenDeadLetterThenRedrive(t *testing.T) {
	w := newFakeWire()
	fail := true
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) {
		if fail {
			*r = dispatch.Result{Status: 503, Body: []byte("no"), Header: []dispatch.Header{{Name: "Retry-After", Value: "0"}}}
		}
	}
	e := open(t, testOptions(vfs.NewMem(), w))
	body := bytes.Repeat([]byte("compressible "), 1000)
	id := publish(t, e, Publish{Body: body, Retries: 2})
	for i := range 3 {
		got := w.next(t)
		if got.header["Upstash-Retried"] != fmt.Sprint(i) || !bytes.Equal(got.body, body) {
			t.Errorf("attempt %d: retried %s, body of %d bytes", i, got.header["Upstash-Retried"], len(got.body))
		}
	}
	var dead []DeadLetter
	eventually(t, func() bool {
		var err error
		dead, _, err = e.DeadLetters(DeadLetterQuery{User: 1})
		return err == nil && len(dead) == 1
	})
	d := dead[0]
	if d.Message.ID != id || d.ResponseStatus != 503 || string(d.ResponseBody) != "no" || !bytes.Equal(d.Body, body) {
		t.Errorf("dead letter %+v", d)
	}
	w.mu.Lock()
	fail = false
	w.mu.Unlock()
	again, err := e.RetryDeadLetter(1, d.ID, nil)
	if err != nil || again == id {
		t.Fatalf("redrive: %q %v", again, err)
	}
	if got := w.next(t); got.header["Upstash-Message-Id"] != again || !bytes.Equal(got.body, body) {
		t.Errorf("redriven attempt %+v", got.header)
	}
	if _, err := e.RetryDeadLetter(1, d.ID, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("second redrive: %v", err)
	}
	if _, err := e.DeadLetter(1, d.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("get after redrive: %v", err)
	}
}

func TestSurvivesRestart(t *testing.T) {
	fs, w := vfs.NewMem(), newFakeWire()
	o := testOptions(fs, w)
	e := open(t, o)
	id := publish(t, e, Publish{Body: []byte("later"), Delay: time.Hour})
	closeEngine(t, e)

	at := time.Now()
	o.Wall = func() time.Time { return at }
	e = open(t, o)
	m, err := e.Message(1, id)
	if err != nil || string(m.Body) != "later" {
		t.Fatalf("after restart: %+v %v", m, err)
	}
	closeEngine(t, e)

	o.Wall = func() time.Time { return at.Add(2 * time.Hour) }
	open(t, o)
	if got := w.next(t); got.header["Upstash-Message-Id"] != id {
		t.Errorf("delivered %v", got.header)
	}
}

func TestCancel(t *testing.T) {
	w := newFakeWire()
	e := open(t, testOptions(vfs.NewMem(), w))
	for _, delay := range []time.Duration{10 * time.Second, time.Hour} {
		id := publish(t, e, Publish{Delay: delay})
		if err := e.Cancel(2, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("cancel by another account: %v", err)
		}
		if err := e.Cancel(1, id); err != nil {
			t.Errorf("cancel: %v", err)
		}
		if err := e.Cancel(1, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("second cancel: %v", err)
		}
		if _, err := e.Message(1, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("get after cancel: %v", err)
		}
	}
}

func TestDeduplicates(t *testing.T) {
	w := newFakeWire()
	fs := vfs.NewMem()
	e := open(t, testOptions(fs, w))
	first := publish(t, e, Publish{DedupID: "a", Delay: time.Hour})
	for range 2 {
		r, err := e.Publish(&Publish{User: 1, URL: "http://other.example/", DedupID: "a"})
		if err != nil || !r.Deduplicated || r.MessageID != first {
			t.Fatalf("duplicate: %+v %v", r, err)
		}
		closeEngine(t, e)
		e = open(t, testOptions(fs, w))
	}
	if r, err := e.Publish(&Publish{User: 2, URL: "http://h.example/", DedupID: "a", Delay: time.Hour}); err != nil || r.Deduplicated {
		t.Errorf("another account's id: %+v %v", r, err)
	}
	p := Publish{User: 1, URL: "http://h.example/", Body: []byte("x"), DedupContent: true, Delay: time.Hour}
	out := e.PublishBatch([]Publish{p, p})
	if out[0].Err != nil || out[1].Err != nil || out[0].Deduplicated || !out[1].Deduplicated || out[0].MessageID != out[1].MessageID {
		t.Errorf("batch: %+v", out)
	}
}

func TestRotatesKeys(t *testing.T) {
	fs := vfs.NewMem()
	e := open(t, testOptions(fs, newFakeWire()))
	k, err := e.RotateKeys(1)
	if err != nil || k.Current != "sig_next" || len(k.Next) != 32 {
		t.Fatalf("%+v %v", k, err)
	}
	closeEngine(t, e)
	e = open(t, testOptions(fs, newFakeWire()))
	if got, _ := e.Keys(1); got != k {
		t.Errorf("after restart %+v, want %+v", got, k)
	}
	if _, ok := e.Authenticate([]byte("token")); !ok {
		t.Error("token refused after rotation")
	}
}

func TestBacklogBeyondMemory(t *testing.T) {
	w := newFakeWire()
	o := testOptions(vfs.NewMem(), w)
	o.Resident = 64
	start := time.Now()
	var mu sync.Mutex
	offset := time.Duration(0)
	o.Wall = func() time.Time { mu.Lock(); defer mu.Unlock(); return start.Add(offset) }
	e := open(t, o)
	const n = backlogMessages
	want := map[string]bool{}
	for lo := 0; lo < n; lo += 500 {
		ps := make([]Publish, 500)
		for i := range ps {
			ps[i] = Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/", i%3), Delay: 5 * time.Minute, Body: []byte(fmt.Sprint(lo + i))}
		}
		for _, r := range e.PublishBatch(ps) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			want[r.MessageID] = true
		}
	}
	mu.Lock()
	offset = 10 * time.Minute
	mu.Unlock()
	for range n {
		id := w.next(t).header["Upstash-Message-Id"]
		if !want[id] {
			t.Fatalf("%s: unknown or delivered twice", id)
		}
		delete(want, id)
	}
}
