package alerts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hook = "https://hooks.example.com/services/canary-path?token=canary-query"

// receiver is a webhook that answers as told.
type receiver struct {
	mu     sync.Mutex
	got    []alert
	heads  []map[string]string
	at     []time.Time
	answer func(n int, r *dispatch.Result) // of the n-th request, from 1; nil: 200
}

func (w *receiver) Do(a *dispatch.Attempt, r *dispatch.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var v alert
	if err := json.Unmarshal(a.Body, &v); err != nil {
		panic(err)
	}
	head := map[string]string{"url": a.URL}
	for _, h := range a.Header {
		head[h.Name] = h.Value
	}
	w.got, w.heads, w.at = append(w.got, v), append(w.heads, head), append(w.at, time.Now())
	*r = dispatch.Result{Status: 204}
	if w.answer != nil {
		w.answer(len(w.got), r)
	}
}

// take returns what came since the last call, as "kind host".
func (w *receiver) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, v := range w.got {
		line := strings.TrimSpace(fmt.Sprintf("%s %s", v.Kind, v.Host))
		if v.Dropped > 0 {
			line += fmt.Sprintf(" +%d", v.Dropped)
		}
		all = append(all, line)
	}
	w.got = nil
	return strings.Join(all, ", ")
}

// requests returns the headers of all requests, and when they came.
func (w *receiver) requests() ([]map[string]string, []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.heads), slices.Clone(w.at)
}

func opened(host string) engine.Notice {
	return engine.Notice{Kind: engine.NoticeCircuitOpened, Host: host, Error: "no answer in time", At: time.Now()}
}

func closed(host string) engine.Notice {
	return engine.Notice{Kind: engine.NoticeCircuitClosed, Host: host, At: time.Now()}
}

// sender runs test with alerts that go to w, in a bubble.
func sender(t *testing.T, w *receiver, test func(t *testing.T, a *Alerts, want func(string)), log *bytes.Buffer) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Wire: w, Server: "db1"}
		if log != nil {
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
		}
		a := New(o)
		defer a.Close()
		if err := a.Set(hook, ""); err != nil {
			t.Fatal(err)
		}
		test(t, a, func(want string) {
			t.Helper()
			synctest.Wait()
			if got := w.take(); got != want {
				t.Errorf("the webhook got %q, want %q", got, want)
			}
		})
	})
}

// TestLimits: of a host that comes and goes only so much is told, and in the end what is true.
func TestLimits(t *testing.T) {
	sender(t, new(receiver), func(_ *testing.T, a *Alerts, want func(string)) {
		a.Notify(opened("h"))
		want("circuit_opened h")
		a.Notify(closed("h"))
		want("circuit_closed h")
		for range 5 {
			a.Notify(opened("h"))
			a.Notify(closed("h"))
		}
		a.Notify(opened("h"))
		a.Notify(opened("other")) // is not affected
		want("circuit_opened other +11")
		time.Sleep(Interval + pendingEvery)
		want("circuit_opened h") // what "closed" said holds no longer
		a.Notify(opened("h"))
		want("")
		a.Notify(closed("h"))
		want("circuit_closed h +1")
		time.Sleep(3 * Interval)
		want("") // what was held back is what was told
		a.Notify(opened("h"))
		want("circuit_opened h")
	}, nil)
}

// TestAllTogether: a thousand hosts that fail at once are so many alerts and a number, and the disk is told of none the less.
func TestAllTogether(t *testing.T) {
	w := new(receiver)
	sender(t, w, func(t *testing.T, a *Alerts, want func(string)) {
		for i := range 1000 {
			a.Notify(opened(fmt.Sprint("h", i)))
			synctest.Wait() // notices are bounded, too
		}
		if got := strings.Count(w.take(), "circuit_opened"); got != allBurst {
			t.Errorf("%d alerts of 1000 hosts, want %d", got, allBurst)
		}
		a.Notify(engine.Notice{Kind: engine.NoticeDiskLow, Free: 100 << 20, Floor: 512 << 20})
		want(fmt.Sprintf("disk_low +%d", 1000-allBurst))
		time.Sleep(allEvery)
		a.Notify(opened("late"))
		want("circuit_opened late")
		a.Notify(opened("later"))
		want("")
	}, nil)
}

// TestRetries: an alert is tried again, with the same id; one that fails for good is told of in the log, without the URL.
func TestRetries(t *testing.T) {
	var log bytes.Buffer
	w := &receiver{answer: func(n int, r *dispatch.Result) {
		switch {
		case n == 1:
			*r = dispatch.Result{Status: 503}
		case n == 2:
			*r = dispatch.Result{Class: dispatch.Connect, Err: errors.New("dial tcp 192.0.2.1:443: connection refused")}
		case n > 3:
			*r = dispatch.Result{Status: 500}
		}
	}}
	sender(t, w, func(t *testing.T, a *Alerts, _ func(string)) {
		a.Notify(opened("h"))
		time.Sleep(time.Minute)
		heads, at := w.requests()
		if len(heads) != 3 || heads[0]["Webhook-Id"] != heads[2]["Webhook-Id"] || at[2].Sub(at[0]) != 4*firstBackoff {
			t.Errorf("%d requests, at %v: %v", len(heads), at, heads)
		}
		a.Notify(opened("h2"))
		time.Sleep(10 * time.Minute)
		if heads, _ = w.requests(); len(heads) != 3+sendTries {
			t.Errorf("%d requests in all", len(heads))
		}
	}, &log)
	if text := log.String(); strings.Count(text, "was not delivered") != 1 || !strings.Contains(text, "answered 500") || strings.Contains(text, "canary") {
		t.Errorf("the log is %s", text)
	}
}

// TestRefusedIsFinal: an address that may not be dialled is not tried again.
func TestRefusedIsFinal(t *testing.T) {
	w := &receiver{answer: func(_ int, r *dispatch.Result) {
		*r = dispatch.Result{Class: dispatch.Refused, Err: errors.New("endpoint " + hook + " is refused")}
	}}
	var log bytes.Buffer
	sender(t, w, func(t *testing.T, a *Alerts, _ func(string)) {
		a.Notify(opened("h"))
		time.Sleep(10 * time.Minute)
		if heads, _ := w.requests(); len(heads) != 1 {
			t.Errorf("%d requests", len(heads))
		}
	}, &log)
	if text := log.String(); !strings.Contains(text, "its address is refused") || strings.Contains(text, "canary") {
		t.Errorf("the log is %s", text)
	}
}

// TestSet: without a URL nobody is told, a new one holds from the next try on, and what is none is not quoted.
func TestSet(t *testing.T) {
	w := new(receiver)
	sender(t, w, func(t *testing.T, a *Alerts, want func(string)) {
		_ = a.Set("", "")
		a.Notify(opened("h"))
		want("")
		if err := a.Set("http://127.0.0.1:9/x", "whsec_c2VjcmV0"); err != nil {
			t.Error(err)
		}
		a.Notify(opened("h"))
		want("circuit_opened h")
		heads, _ := w.requests()
		if h := heads[0]; h["url"] != "http://127.0.0.1:9/x" || !strings.HasPrefix(h["Webhook-Signature"], "v1,") || h["Webhook-Timestamp"] == "" {
			t.Errorf("the request has %v", h)
		}
		for _, bad := range []string{"canary", "ftp://canary/", "http://", "https://canary user@h/"} {
			if err := a.Set(bad, ""); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}, nil)
}

// TestShape holds the JSON to what OPERATIONS.md says.
func TestShape(t *testing.T) {
	at := time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.UTC)
	for want, n := range map[string]engine.Notice{
		`{"kind":"dead_letter","text":"tidemill on db1: messages to https://h:443 become dead letters: the destination answered 500. Look at the dead letter queue","time":"2026-05-06T07:08:09.123Z","server":"db1","host":"https://h:443","error":"the destination answered 500"}`: {
			Kind: engine.NoticeDeadLetter, Host: "https://h:443", Error: "the destination answered 500",
		},
		`{"kind":"disk_low","text":"tidemill on db1: the disk is full, publishes are refused: 100 MiB are free, data.min-free is 512 MiB. Make room","time":"2026-05-06T07:08:09.123Z","server":"db1","free_bytes":104857600,"min_free_bytes":536870912}`: {
			Kind: engine.NoticeDiskLow, Free: 100 << 20, Floor: 512 << 20,
		},
		"{\"kind\":\"damage\",\"text\":\"tidemill on db1: the log is damaged in segment 1.seg at 512: a bad checksum. Run `tidemill wal verify`\",\"time\":\"2026-05-06T07:08:09.123Z\",\"server\":\"db1\",\"damaged\":{\"segment\":\"1.seg\",\"offset\":512,\"meaning\":\"a bad checksum\",\"lost_records\":1}}": {
			Kind: engine.NoticeDamage, Damaged: &engine.DamagedRange{Segment: "1.seg", Offset: 512, Meaning: "a bad checksum", Lost: 1},
		},
	} {
		n.At = at
		v := newAlert(&n, "db1", 0)
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s is\n%s, want\n%s (%v)", n.Kind, got, want, err)
		}
	}
}

// TestSign is the example of the Standard Webhooks specification.
func TestSign(t *testing.T) {
	got := sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}

// TestSubjectsAreBounded: a server with many hosts remembers only so many.
func TestSubjectsAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(now)
	for i := range 3 * subjectsMax {
		n := opened(fmt.Sprint(i))
		l.take(now, &n)
	}
	if len(l.subjects) > subjectsMax {
		t.Errorf("%d subjects", len(l.subjects))
	}
	now = now.Add(Interval)
	n := opened("new")
	if !l.take(now, &n) || len(l.subjects) > subjectsMax {
		t.Errorf("a new one is not told of when the others are old; %d subjects", len(l.subjects))
	}
}
