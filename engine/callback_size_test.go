package engine

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// noise returns bytes that no compression makes fewer.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// TestReportOfReport: a callback is longer than what it reports, and a callback about a
// callback longer again. However long message and responses are, no outcome is longer than
// the log takes, which would end the server each time it came to it. A dead callback that
// is too long to stand alone stays what it is.
func TestReportOfReport(t *testing.T) {
	w := newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		*r = dispatch.Result{Status: 500, Body: noise(1 << 20)}
	}
	o := testOptions(vfs.NewMem(), w)
	var fatal atomic.Value
	o.OnFatal = func(err error) { fatal.Store(err.Error()) }
	e := open(t, o)
	cb := func(host string, then *Callback) *Callback {
		return &Callback{URL: "http://" + host + ".example/", Failure: then}
	}
	publish(t, e, Publish{Body: noise(1 << 20), Failure: cb("one", cb("two", cb("three", nil)))})
	for _, want := range []string{"", "one", "two", "three"} {
		if got := w.next(t); !strings.Contains(got.url, want) {
			t.Fatalf("attempt at %s, want %s", got.url, want)
		}
	}
	eventually(t, func() bool {
		d, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
		return err == nil && len(d) == 4 || fatal.Load() != nil
	})
	if err := fatal.Load(); err != nil {
		t.Fatal(err)
	}
	dead, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range dead {
		_, err := e.RetryDeadLetter(1, dead[i].ID, nil)
		if report := i > 0; report != errors.Is(err, ErrTooLarge) || !report && err != nil {
			t.Errorf("retry of dead letter %d, of %s: %v", i, dead[i].URL, err)
		}
	}
}
