package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// openDead opens an engine with n dead letters, as publishes makes them, in the order of
// their publishing.
func openDead(t *testing.T, n int, change func(i int, p *Publish)) (*Engine, *fakeWire, []DeadLetter) {
	t.Helper()
	w := newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		if strings.Contains(a.url, "fails") {
			*r = dispatch.Result{Status: 500}
		}
	}
	e := open(t, testOptions(vfs.NewMem(), w))
	for i := range n {
		p := Publish{User: 1, URL: fmt.Sprintf("http://fails.example/%d", i), Body: []byte("body")}
		change(i, &p)
		publish(t, e, p)
		eventually(t, func() bool { return len(allDead(t, e)) == i+1 })
	}
	for range n {
		w.next(t)
	}
	return e, w, allDead(t, e)
}

// allDead lists all dead letters, page by page.
func allDead(t *testing.T, e *Engine) (all []DeadLetter) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := e.DeadLetters(DeadLetterQuery{User: 1, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); next == "" {
			return all
		}
		cursor = next
	}
}

func deadIDs(ds []DeadLetter) (ids []string) {
	for i := range ds {
		ids = append(ids, ds[i].ID)
	}
	return ids
}

// TestDeadLettersByFilter lists, deletes and retries by each filter: exactly what it
// selects, page by page, with a cursor while there is more and none at the end.
func TestDeadLettersByFilter(t *testing.T) {
	const n = 12
	e, _, all := openDead(t, n, func(i int, p *Publish) {
		p.Labels, p.CallerIP = []string{"all", fmt.Sprint("mod", i%3)}, fmt.Sprintf("10.0.0.%d", i%2)
		if i%4 == 0 {
			p.Queue = "q"
		}
		if i%4 == 1 {
			p.Flow = FlowControl{Key: "k", Parallelism: 5}
		}
	})
	byRow := func(ids []string, from, to int) DeadLetterQuery {
		q := DeadLetterQuery{IDs: ids}
		if to > 0 {
			q.From, q.To = all[from].At, all[to].At
		}
		return q
	}
	for _, c := range []struct {
		name string
		q    DeadLetterQuery
		want func(i int) bool
	}{
		{"all", DeadLetterQuery{}, func(int) bool { return true }},
		{"label", DeadLetterQuery{Filter: Filter{Labels: []string{"mod1", "x"}}}, func(i int) bool { return i%3 == 1 }},
		{"label and ip", DeadLetterQuery{Filter: Filter{Labels: []string{"mod1"}, CallerIPs: []string{"10.0.0.1"}}}, func(i int) bool { return i%3 == 1 && i%2 == 1 }},
		{"queue", DeadLetterQuery{Filter: Filter{QueueNames: []string{"q"}}}, func(i int) bool { return i%4 == 0 }},
		{"flow", DeadLetterQuery{Filter: Filter{FlowKeys: []string{"k"}}}, func(i int) bool { return i%4 == 1 }},
		{"url", DeadLetterQuery{Filter: Filter{URLs: []string{all[3].URL, all[5].URL}}}, func(i int) bool { return i == 3 || i == 5 }},
		{"message", DeadLetterQuery{Filter: Filter{MessageIDs: []string{all[7].Message.ID}}}, func(i int) bool { return i == 7 }},
		{"status", DeadLetterQuery{Statuses: []int{500}}, func(int) bool { return true }},
		{"another status", DeadLetterQuery{Statuses: []int{404, 0}}, func(int) bool { return false }},
		{"time", byRow(nil, 2, 6), func(i int) bool { return !all[i].At.Before(all[2].At) && !all[i].At.After(all[6].At) }},
		{"ids", byRow([]string{all[9].ID, "nonsense", all[4].ID, all[9].ID, "1-1"}, 0, 0), func(i int) bool { return i == 4 || i == 9 }},
		{"nothing", DeadLetterQuery{Filter: Filter{Labels: []string{"none"}}}, func(int) bool { return false }},
	} {
		var want []string
		for i := range all {
			if c.want(i) {
				want = append(want, all[i].ID)
			}
		}
		for _, down := range []bool{false, true} {
			for _, count := range []int{0, 1, 5} {
				c.q.User, c.q.Descending, c.q.Count, c.q.Cursor = 1, down, count, ""
				var got []string
				for {
					page, next, err := e.DeadLetters(c.q)
					if err != nil {
						t.Fatal(err)
					}
					if count > 0 && len(page) > count || next != "" && len(page) == 0 {
						t.Fatalf("%s: a page of %d, cursor %q", c.name, len(page), next)
					}
					got = append(got, deadIDs(page)...)
					if c.q.Cursor = next; next == "" {
						break
					}
				}
				if down {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %d at a time, down %v: %v, want %v", c.name, count, down, got, want)
				}
			}
		}
	}

	nothing := DeadLetterQuery{User: 1, Filter: Filter{Labels: []string{"none"}}}
	if n, cursor, err := e.DeleteDeadLetters(nothing); n != 0 || cursor != "" || err != nil {
		t.Errorf("%d, %q, %v", n, cursor, err)
	}
	if ids, cursor, err := e.RetryDeadLetters(nothing, nil); len(ids) != 0 || cursor != "" || err != nil {
		t.Errorf("%v, %q, %v", ids, cursor, err)
	}

	q := DeadLetterQuery{User: 1, Count: 2, Filter: Filter{Labels: []string{"mod0"}}} // 0, 3, 6, 9
	for i, want := range []string{"2 true", "2 true", "0 false"} {
		n, cursor, err := e.DeleteDeadLetters(q)
		if got := fmt.Sprint(n, " ", cursor != ""); got != want || err != nil {
			t.Errorf("page %d: %s, %v, want %s", i, got, err, want)
		}
		q.Cursor = cursor
	}
	q = DeadLetterQuery{User: 1, Count: 1, Filter: Filter{Labels: []string{"mod1"}}} // 1, 4, 7, 10
	if page, next, err := e.DeadLetters(DeadLetterQuery{User: 1, Count: 2, Filter: Filter{QueueNames: []string{"q"}}}); len(page) != 2 || next != "" || err != nil {
		t.Errorf("the two left of a queue: %d, %q, %v", len(page), next, err) // what is behind it is of other queues
	}
	again := 0
	for {
		ids, cursor, err := e.RetryDeadLetters(q, nil)
		if err != nil || len(ids) > 1 {
			t.Fatalf("%v: %v", ids, err)
		}
		again += len(ids)
		if q.Cursor = cursor; cursor == "" || again == 4 { // they fail again, and come back behind
			break
		}
	}
	if again != 4 {
		t.Errorf("%d were retried", again)
	}
	for i := range all {
		_, err := e.DeadLetter(1, all[i].ID)
		if there := err == nil; there != (i%3 == 2) || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestDeadLettersByID: a delete skips what is not there, a retry does nothing then.
func TestDeadLettersByID(t *testing.T) {
	e, w, all := openDead(t, 4, func(i int, p *Publish) { p.URL = fmt.Sprintf("http://fails.example/%d", i) })
	if ids, _, err := e.RetryDeadLetters(DeadLetterQuery{User: 1, IDs: []string{all[0].ID, "1-1"}}, nil); len(ids) > 0 || !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `"1-1"`) {
		t.Errorf("%v, %v", ids, err)
	}
	if ids, _, err := e.RetryDeadLetters(DeadLetterQuery{User: 2, IDs: []string{all[0].ID}}, nil); len(ids) > 0 || !errors.Is(err, ErrNotFound) {
		t.Errorf("another account: %v, %v", ids, err)
	}
	if n, _, err := e.DeleteDeadLetters(DeadLetterQuery{User: 2, IDs: deadIDs(all)}); n > 0 || err != nil {
		t.Errorf("another account: %d, %v", n, err)
	}
	if len(allDead(t, e)) != 4 {
		t.Fatal("something was retried or deleted")
	}
	// The other filters do not count beside ids.
	n, cursor, err := e.DeleteDeadLetters(DeadLetterQuery{User: 1, IDs: []string{all[1].ID, "x", all[3].ID, all[1].ID}, Count: 1, Filter: Filter{Labels: []string{"no"}}})
	if n != 2 || cursor != "" || err != nil {
		t.Errorf("%d, %q, %v", n, cursor, err)
	}
	if n, _, err := e.DeleteDeadLetters(DeadLetterQuery{User: 1, IDs: []string{all[1].ID}}); n != 0 || err != nil {
		t.Errorf("deleted twice: %d, %v", n, err)
	}
	ids, cursor, err := e.RetryDeadLetters(DeadLetterQuery{User: 1, IDs: []string{all[2].ID, all[0].ID, all[2].ID}, Count: 1}, nil)
	if len(ids) != 2 || cursor != "" || err != nil {
		t.Fatalf("%v, %q, %v", ids, cursor, err)
	}
	got := []string{w.next(t).header["Upstash-Message-Id"], w.next(t).header["Upstash-Message-Id"]}
	slices.Sort(got)
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		t.Errorf("%v were attempted, %v retried", got, ids)
	}
}

// TestRetryChanges: what a retry changes about a message, and that the rest stays.
func TestRetryChanges(t *testing.T) {
	e, w, all := openDead(t, 1, func(_ int, p *Publish) {
		p.Labels, p.Timeout, p.Header = []string{"was"}, time.Second, []Header{{Name: "X-Own", Value: "1"}}
		p.Failure = &Callback{URL: "http://fails.example/failure", Retries: 0}
	})
	five := 5
	at := time.Now()
	id, err := e.RetryDeadLetter(1, all[0].ID, &RetryOptions{
		Retries: &five, Timeout: 3 * time.Second, RetryDelay: "7000", Delay: time.Hour, Labels: []string{"now", "new"},
		Flow: FlowControl{Key: "k", Rate: 2}, Callback: &Callback{URL: "http://callback.example/", Retries: InheritRetries},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Message(1, id)
	if err != nil {
		t.Fatal(err)
	}
	if m.Retries != 5 || m.RetryDelay != "7000" || !slices.Equal(m.Labels, []string{"now", "new"}) || m.Flow.Key != "k" || m.Flow.Rate != 2 ||
		m.Callback == nil || m.Callback.URL != "http://callback.example/" || m.Failure == nil || m.URL != all[0].URL || string(m.Body) != "body" || m.Header[0].Value != "1" {
		t.Errorf("%+v", m)
	}
	if wait := m.NotBefore.Sub(at); wait < time.Hour-time.Second || wait > time.Hour+time.Minute {
		t.Errorf("it waits for %s", wait)
	}
	if f, err := e.Flow(1, "k"); err != nil || f.Waiting != 1 {
		t.Errorf("the key: %+v, %v", f, err)
	}
	if n, _, err := e.CancelMany(1, &CancelQuery{Filter: Filter{FlowKeys: []string{"k"}}}); n != 1 || err != nil {
		t.Errorf("canceled by the new key: %d, %v", n, err)
	}
	w.next(t) // the failure callback of the first attempt

	dead := allDead(t, e)
	if len(dead) == 0 {
		t.Fatal("the failure callback is no dead letter")
	}
	minus, many := -1, 101
	for want, o := range map[string]RetryOptions{
		"must be 0 or more":       {Retries: &minus},
		"maxRetries":              {Retries: &many},
		"attempt.max-timeout":     {Timeout: 3 * time.Hour},
		"message.max-delay":       {Delay: 366 * 24 * time.Hour},
		"Flow-Control-Value must": {Flow: FlowControl{Key: "k"}},
		"invalid callback url":    {Callback: &Callback{URL: "ftp://x"}},
		"1 to 128 bytes":          {Labels: []string{""}},
		"together exceed":         {RetryDelay: strings.Repeat("1", metaMax)},
	} {
		if _, err := e.RetryDeadLetter(1, dead[0].ID, &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if len(allDead(t, e)) != len(dead) {
		t.Error("what was refused was retried")
	}
}

// TestManySurviveAPowerCut: what a call on many has answered is so after a crash.
func TestManySurviveAPowerCut(t *testing.T) {
	disk, w := powerfs.New(), newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		if strings.Contains(a.url, "fails") {
			*r = dispatch.Result{Status: 500}
		}
	}
	o := testOptions(disk, w)
	o.OnFatal = func(error) {} // the disk of the first life goes on, unseen
	e := open(t, o)
	var later []string
	for i := range 20 {
		publish(t, e, Publish{URL: "http://fails.example/", Labels: []string{fmt.Sprint("l", i%2)}})
		later = append(later, publish(t, e, Publish{URL: "http://later.example/", Delay: time.Hour, Labels: []string{fmt.Sprint("l", i%2)}}))
	}
	eventually(t, func() bool { return len(allDead(t, e)) == 20 })
	deleted, _, err := e.DeleteDeadLetters(DeadLetterQuery{User: 1, Filter: Filter{Labels: []string{"l0"}}, Count: 5})
	if err != nil || deleted != 5 {
		t.Fatalf("%d, %v", deleted, err)
	}
	hour := &RetryOptions{Delay: time.Hour}
	retried, _, err := e.RetryDeadLetters(DeadLetterQuery{User: 1, Filter: Filter{Labels: []string{"l1"}}, Count: 5}, hour)
	if err != nil || len(retried) != 5 {
		t.Fatalf("%v, %v", retried, err)
	}
	canceled, _, err := e.CancelMany(1, &CancelQuery{Filter: Filter{Labels: []string{"l0"}}})
	if err != nil || canceled != 10 {
		t.Fatalf("%d, %v", canceled, err)
	}
	o.FS = disk.Cut(1, 0, 512)
	next := open(t, o)
	if n := len(allDead(t, next)); n != 10 {
		t.Errorf("%d dead letters, want 10", n)
	}
	for _, id := range retried {
		if _, err := next.Message(1, id); err != nil {
			t.Errorf("a retried message: %v", err)
		}
	}
	for i, id := range later {
		if _, err := next.Message(1, id); (err == nil) != (i%2 == 1) {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

// TestRetryLeavesOutWhatIsTooLarge: a retry by filter goes past a dead letter that cannot
// be published any more; one by its id says so.
func TestRetryLeavesOutWhatIsTooLarge(t *testing.T) {
	fs, w := vfs.NewMem(), newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) { *r = dispatch.Result{Status: 500} }
	o := testOptions(fs, w)
	e := open(t, o)
	body := make([]byte, 900<<10)
	if _, err := rand.Read(body); err != nil { // nothing that can be compressed
		t.Fatal(err)
	}
	publish(t, e, Publish{Body: body})
	eventually(t, func() bool { return len(allDead(t, e)) == 1 })
	large := allDead(t, e)[0].ID
	publish(t, e, Publish{Body: []byte("small")})
	eventually(t, func() bool { return len(allDead(t, e)) == 2 })
	closeEngine(t, e)
	o.MessageMax, o.ResponseMax = 1<<10, 1<<10
	e = open(t, o)
	if _, err := e.RetryDeadLetter(1, large, nil); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("it is not too large: %v", err)
	}
	if ids, _, err := e.RetryDeadLetters(DeadLetterQuery{User: 1, IDs: []string{large}}, nil); len(ids) > 0 || !errors.Is(err, ErrTooLarge) {
		t.Errorf("by id: %v, %v", ids, err)
	}
	if ids, cursor, err := e.RetryDeadLetters(DeadLetterQuery{User: 1}, nil); len(ids) != 1 || cursor != "" || err != nil {
		t.Errorf("all: %v, %q, %v", ids, cursor, err)
	}
	if _, err := e.DeadLetter(1, large); err != nil {
		t.Errorf("the large one is gone: %v", err)
	}
}
