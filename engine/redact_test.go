package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

const (
	secretBody   = "the body's secret"
	secretHeader = "Bearer the header's secret"
)

// shown is what a view shows of a value that is redacted (QSTASH.md §10).
func shown(v string) string {
	sum := sha256.Sum256([]byte(v))
	return "REDACTED:" + hex.EncodeToString(sum[:])
}

func secretPublish() Publish {
	return Publish{
		User: 1, URL: "http://a.example/", Body: []byte(secretBody), Labels: []string{"b", "a"},
		Header: []Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "Authorization", Value: secretHeader}},
		Redact: Redact{Body: true, Names: []string{"Authorization"}},
		Callback: &Callback{
			URL: "http://callback.example/", Retries: InheritRetries,
			Header: []Header{{Name: "Authorization", Value: secretHeader}, {Name: "X-Own", Value: "open"}},
		},
	}
}

// checkSecret checks a view of what secretPublish published.
func checkSecret(t *testing.T, what string, hs []Header, body []byte, labels []string, c *CallbackInfo) {
	t.Helper()
	if string(body) != shown(secretBody) {
		t.Errorf("%s: body %q", what, body)
	}
	if want := []Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "Authorization", Value: shown(secretHeader)}}; !reflect.DeepEqual(hs, want) {
		t.Errorf("%s: %v, want %v", what, hs, want)
	}
	if !reflect.DeepEqual(labels, []string{"b", "a"}) {
		t.Errorf("%s: labels %v", what, labels)
	}
	want := []Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Authorization", Value: shown(secretHeader)}, {Name: "X-Own", Value: "open"}}
	if c == nil || !reflect.DeepEqual(c.Header, want) {
		t.Errorf("%s: callback %v, want %v", what, c, want)
	}
}

// TestRedaction: what is redacted is a hash in every view, of a message, a dead letter, a
// schedule, a member of a group and a callback; what is delivered, reported, retried and
// compared is the original, and so is what an operator exports.
func TestRedaction(t *testing.T) {
	w := newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		if a.url == "http://a.example/" {
			*r = dispatch.Result{Status: 500, Body: []byte("answer")}
		}
	}
	wall := newTestWall(testMorning)
	o := testOptions(vfs.NewMem(), w)
	o.Wall = wall.now
	e := openGroup(t, o, "b", "c")

	p := secretPublish()
	p.Delay = time.Hour
	m, err := e.Message(1, publish(t, e, p))
	if err != nil {
		t.Fatal(err)
	}
	checkSecret(t, "message", m.Header, m.Body, m.Labels, m.Callback)

	p.URL = ""
	for _, r := range publishGroup(t, e, p) {
		m, err := e.Message(1, r.MessageID)
		if err != nil {
			t.Fatal(err)
		}
		checkSecret(t, "member", m.Header, m.Body, m.Labels, m.Callback)
	}

	s := Schedule{ID: "s", Cron: "@daily", Message: secretPublish()}
	mustDefine(t, e, &s)
	info, err := e.Schedule(1, "s")
	if err != nil {
		t.Fatal(err)
	}
	checkSecret(t, "schedule", info.Header, info.Body, info.Labels, info.Callback)
	listed := 0
	if err := e.Schedules(1, func(v *ScheduleInfo) error {
		listed++
		checkSecret(t, "listed schedule", v.Header, v.Body, v.Labels, v.Callback)
		return nil
	}); err != nil || listed != 1 {
		t.Errorf("%d schedules: %v", listed, err)
	}

	p = secretPublish()
	p.Delay = time.Hour
	mustDefine(t, e, &Schedule{ID: "hourly", Cron: "30 8 * * *", Message: p})
	wall.move(e, 31*time.Minute)
	eventually(t, func() bool { return len(mustSchedule(t, e, "hourly").State) == 1 })
	tick := mustSchedule(t, e, "hourly").State[0].MessageID
	if m, err = e.Message(1, tick); err != nil {
		t.Fatal(err)
	}
	checkSecret(t, "tick", m.Header, m.Body, m.Labels, m.Callback)
	if err := errors.Join(e.Cancel(1, tick), e.DeleteSchedule(1, "hourly")); err != nil {
		t.Fatal(err)
	}

	id := publish(t, e, secretPublish())
	var callback string
	for range 2 { // the message, and its callback
		got := w.next(t)
		switch got.url {
		case "http://a.example/":
			if string(got.body) != secretBody || got.header["Authorization"] != secretHeader {
				t.Errorf("delivered %s %v", got.body, got.header)
			}
		default:
			callback = got.header["Upstash-Message-Id"]
			var r struct {
				SourceBody   []byte
				SourceHeader map[string][]string
			}
			if err := json.Unmarshal(got.body, &r); err != nil || string(r.SourceBody) != secretBody || r.SourceHeader["Authorization"][0] != secretHeader || got.header["Authorization"] != secretHeader {
				t.Errorf("reported %s: %v", got.body, err)
			}
		}
	}
	var dead []DeadLetter
	for _, label := range []string{"nobody's", "a", "b"} {
		eventually(t, func() bool {
			dead, _, err = e.DeadLetters(DeadLetterQuery{User: 1, Filter: Filter{Labels: []string{"x", label}}})
			return err == nil && len(dead) == len(label)%2
		})
	}
	if dead[0].Message.ID != id || string(dead[0].ResponseBody) != "answer" {
		t.Errorf("%+v", dead[0])
	}
	checkSecret(t, "listed dead letter", dead[0].Header, dead[0].Body, dead[0].Labels, dead[0].Callback)
	d, err := e.DeadLetter(1, dead[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	checkSecret(t, "dead letter", d.Header, d.Body, d.Labels, d.Callback)

	eventually(t, func() bool { _, err := e.Message(1, callback); return errors.Is(err, ErrNotFound) })
	var b bytes.Buffer
	if err := e.Export(t.Context(), &b, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	// A message, two members, a schedule and a dead letter, each with a callback.
	for what, n := range map[string]int{secretBody: 5, secretHeader: 10, "REDACTED": 0, `"labels":["b","a"],"redact":{"body":true,"header_names":["Authorization"]}`: 5} {
		if got := strings.Count(text, what); got != n {
			t.Errorf("the export has %q %d times, want %d", what, got, n)
		}
	}

	if _, err := e.RetryDeadLetter(1, d.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.next(t); string(got.body) != secretBody || got.header["Authorization"] != secretHeader {
		t.Errorf("retried with %s %v", got.body, got.header)
	}
	eventually(t, func() bool {
		dead, _, err = e.DeadLetters(DeadLetterQuery{User: 1})
		return err == nil && len(dead) == 1
	})
	checkSecret(t, "dead letter after a retry", dead[0].Header, dead[0].Body, dead[0].Labels, dead[0].Callback)
}

// TestRedactedCallbacks: a callback of a message of which anything is redacted shows
// nothing of its body, which has all of the message in it, as long as it is kept.
func TestRedactedCallbacks(t *testing.T) {
	for _, c := range []struct {
		r      Redact
		hidden bool
	}{{Redact{}, false}, {Redact{Body: true}, true}, {Redact{Headers: true}, true}, {Redact{Names: []string{"Authorization"}}, true}} {
		t.Run(fmt.Sprint(c.r), func(t *testing.T) {
			w := newFakeWire()
			w.reply = func(a *fakeAttempt, r *dispatch.Result) {
				if a.url != "http://a.example/" {
					*r = dispatch.Result{Status: 500}
				}
			}
			e := open(t, testOptions(vfs.NewMem(), w))
			p := secretPublish()
			p.Redact, p.Callback.Retries = c.r, 0
			publish(t, e, p)
			var dead []DeadLetter
			eventually(t, func() bool {
				var err error
				dead, _, err = e.DeadLetters(DeadLetterQuery{User: 1})
				return err == nil && len(dead) == 1
			})
			w.next(t)
			report := string(w.next(t).body)
			want := report
			if c.hidden {
				want = shown(report)
			}
			if string(dead[0].Body) != want {
				t.Errorf("the callback shows %q", dead[0].Body)
			}
			if hidden := strings.HasPrefix(dead[0].Header[1].Value, "REDACTED:"); hidden != (c.r.Headers || len(c.r.Names) > 0) {
				t.Errorf("its header is %v", dead[0].Header)
			}
		})
	}
}

// TestRedactionDoesNotChangeWhatIsEqual: content is compared as it is.
func TestRedactionDoesNotChangeWhatIsEqual(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	p := secretPublish()
	p.DedupContent = true
	id := publish(t, e, p)
	p.Redact, p.Labels = Redact{}, nil
	if again := publish(t, e, p); again != id {
		t.Error("the same content was published twice")
	}
}

func TestLabelLimits(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	for want, change := range map[string]func(p *Publish){
		"more than 10 labels":   func(p *Publish) { p.Labels = make([]string, LabelsMax+1) },
		"1 to 128 bytes":        func(p *Publish) { p.Labels = []string{strings.Repeat("l", LabelMax+1)} },
		"a label must have 1":   func(p *Publish) { p.Labels = []string{""} },
		"more than 100 headers": func(p *Publish) { p.Redact.Names = make([]string, RedactNamesMax+1) },
		"a header has no name":  func(p *Publish) { p.Redact.Names = []string{""} },
		"together exceed":       func(p *Publish) { p.Redact.Names = []string{strings.Repeat("n", metaMax)} },
	} {
		p := secretPublish()
		change(&p)
		if _, err := e.Publish(&p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
