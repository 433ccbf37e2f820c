package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// forgedLines is the book of a run that is made up.
type forgedLines struct {
	*lineBook
	now time.Time
}

func (f *forgedLines) queue(parallelism int, keyed bool) *lineQueue {
	return f.newQueue("q", parallelism, keyed)
}

// sent is a message that was acknowledged, in a queue if there is one.
func (f *forgedLines) sent(q *lineQueue, spec lineSpec) *lineMessage {
	m := f.unanswered(q, spec)
	ids := make([]string, len(m.copies))
	for i := range ids {
		ids[i] = lineID(m, i)
	}
	f.ack(m, ids)
	return m
}

func (f *forgedLines) unanswered(q *lineQueue, spec lineSpec) *lineMessage {
	spec.queue, spec.endpoints = q, max(1, spec.endpoints)
	return f.send(spec, f.now, make(chan struct{}, 1))
}

func lineID(m *lineMessage, i int) string { return fmt.Sprintf("msg_%d_%d", m.seq, i) }

// comes is an attempt that is under way.
func (f *forgedLines) comes(m *lineMessage, retried int) *lineRequest {
	r := &lineRequest{kind: kindMessage, seq: m.seq, retried: retried, id: lineID(m, 0), body: f.body(m.seq), at: f.now}
	f.arrive(r)
	return r
}

// ends is an attempt that comes and is answered.
func (f *forgedLines) ends(m *lineMessage, retried int) { f.answer(f.comes(m, retried)) }

// reported is a callback of an attempt, whose report is as it should be but for change.
func (f *forgedLines) reported(m *lineMessage, kind string, retried int, change func(*lineRequest, map[string]any)) {
	about := lineRequest{seq: m.seq, retried: retried}
	j := map[string]any{
		"status": 200, "retried": retried, "maxRetries": m.retries, "sourceMessageId": lineID(m, 0), "method": "POST",
		"url": "http://host/message/0", "body": []byte(about.answerText()), "sourceBody": f.body(m.seq),
	}
	if retried < m.failures {
		j["status"] = 503
	}
	if kind == kindFailure {
		j["dlqId"] = "dlq"
	}
	r := &lineRequest{kind: kind, seq: m.seq, id: fmt.Sprint(kind, m.seq, retried), at: f.now}
	if change != nil {
		change(r, j)
	}
	r.body, _ = json.Marshal(j)
	f.arrive(r)
	f.answer(r)
}

// TestCrashLinesComplain: the crash test is worth what its book notices.
func TestCrashLinesComplain(t *testing.T) {
	called := lineSpec{callback: true}
	for name, c := range map[string]struct {
		run  func(f *forgedLines)
		want string // a complaint, "" for none
	}{
		"in order": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.sent(q, lineSpec{failures: 1, retries: 1}), f.sent(q, lineSpec{})
			f.ends(a, 0)
			f.ends(a, 1)
			f.ends(b, 0)
		}, ""},
		"before the retry of the one before": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.sent(q, lineSpec{failures: 1, retries: 1}), f.sent(q, lineSpec{})
			f.ends(a, 0)
			f.comes(b, 0)
		}, "order: q: message 2 comes while 1 before it"},
		"while the one before is under way": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.sent(q, lineSpec{}), f.sent(q, lineSpec{})
			f.comes(a, 0)
			f.comes(b, 0)
		}, "order: q: message 2 comes while 1 before it"},
		"before the callback of the one before": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.sent(q, called), f.sent(q, lineSpec{})
			f.ends(a, 0)
			f.comes(b, 0)
		}, "order: q: message 2 comes while 1 before it"},
		"after its callback": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.sent(q, called), f.sent(q, lineSpec{})
			f.ends(a, 0)
			f.reported(a, kindCallback, 0, nil)
			f.ends(b, 0)
		}, ""},
		"again after a crash": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.sent(q, lineSpec{}), f.sent(q, lineSpec{})
			f.ends(a, 0)
			f.newLife()
			f.ends(a, 0)
			f.ends(b, 0)
		}, ""},
		"again after a crash, and its turn was over": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.sent(q, lineSpec{}), f.sent(q, lineSpec{})
			f.ends(a, 0)
			f.ends(b, 0)
			f.newLife()
			f.ends(a, 0)
		}, "order: q: of message 1 something comes after"},
		"unanswered, and late": {func(f *forgedLines) {
			q := f.queue(1, false)
			a, b := f.unanswered(q, lineSpec{}), f.sent(q, lineSpec{})
			f.ends(b, 0)
			f.ends(a, 0)
		}, "order: q: of message 1 something comes after"},
		"two of three": {func(f *forgedLines) {
			q := f.queue(3, false)
			a, b, c := f.sent(q, lineSpec{}), f.sent(q, lineSpec{}), f.sent(q, lineSpec{})
			f.comes(c, 0)
			f.comes(b, 0)
			f.comes(a, 0)
		}, ""},
		"four of three": {func(f *forgedLines) {
			q := f.queue(3, false)
			for range 3 {
				f.sent(q, lineSpec{})
			}
			f.comes(f.sent(q, lineSpec{}), 0)
		}, "order: q: message 4 comes while 3 before it"},
		"keys, four of three": {func(f *forgedLines) {
			q := f.queue(3, true)
			for i := range 4 {
				f.comes(f.sent(q, lineSpec{ordering: fmt.Sprint(i)}), 0)
			}
		}, "parallelism: q: 4 messages"},
		"keys, another life": {func(f *forgedLines) {
			q := f.queue(3, true)
			for i := range 4 {
				if i == 3 {
					f.newLife()
				}
				f.ends(f.sent(q, lineSpec{ordering: fmt.Sprint(i), failures: 1, retries: 1}), 0)
			}
		}, ""},
		"one key, two at once": {func(f *forgedLines) {
			q := f.queue(3, true)
			a, b := f.sent(q, lineSpec{ordering: "k"}), f.sent(q, lineSpec{ordering: "k"})
			f.comes(a, 0)
			f.comes(b, 0)
		}, "order: q: message 2"},
		"twice": {func(f *forgedLines) {
			m := f.sent(nil, lineSpec{})
			f.ends(m, 0)
			f.ends(m, 0)
		}, "twice: message 1: attempt 0"},
		"an attempt used up": {func(f *forgedLines) { f.ends(f.sent(nil, lineSpec{retries: 2}), 1) }, "attempt 1 of message 1 came before"},
		"an attempt too many": {func(f *forgedLines) {
			m := f.sent(nil, lineSpec{failures: 2})
			f.ends(m, 0)
			f.ends(m, 1)
		}, "has 0 retries"},
		"early": {func(f *forgedLines) { f.ends(f.sent(nil, lineSpec{delay: time.Second}), 0) }, "1000 ms early"},
		"another body": {func(f *forgedLines) {
			f.arrive(&lineRequest{kind: kindMessage, seq: f.sent(nil, lineSpec{}).seq, id: "msg_1_0", at: f.now})
		}, "another body"},
		"another id": {func(f *forgedLines) {
			f.arrive(&lineRequest{kind: kindMessage, seq: f.sent(nil, lineSpec{}).seq, id: "x", body: f.body(1), at: f.now})
		}, `the ids "msg_1_0" and "x"`},
		"never sent":       {func(f *forgedLines) { f.arrive(&lineRequest{kind: kindMessage, seq: 9}) }, "nobody sent"},
		"group, ids short": {func(f *forgedLines) { f.ack(f.unanswered(nil, lineSpec{endpoints: 3}), []string{"a", "b"}) }, "group: message 1 was answered with 2 ids of 3"},
		"callback, at once": {func(f *forgedLines) {
			f.reported(f.sent(nil, called), kindCallback, 0, nil)
		}, "callback: one of attempt 0 of message 1 came before"},
		"callback, another status": {func(f *forgedLines) {
			f.calls(called, func(_ *lineRequest, j map[string]any) { j["status"] = 500 })
		}, "callback: attempt 0 of message 1, answered with 200"},
		"callback, another source": {func(f *forgedLines) {
			f.calls(called, func(_ *lineRequest, j map[string]any) { j["sourceMessageId"] = "x" })
		}, "callback: message 1, with the id"},
		"callback, another answer": {func(f *forgedLines) {
			f.calls(called, func(_ *lineRequest, j map[string]any) { j["body"] = []byte("x") })
		}, "callback: attempt 0 of message 1"},
		"callback of none": {func(f *forgedLines) { f.calls(lineSpec{}, nil) }, "callback: Callback of message 1"},
		"two of one outcome": {func(f *forgedLines) {
			m := f.calls(called, nil)
			f.newLife()
			f.reported(m, kindCallback, 0, func(r *lineRequest, _ map[string]any) { r.id = "another" })
		}, "is reported by"},
		"callback twice": {func(f *forgedLines) { f.reported(f.calls(called, nil), kindCallback, 0, nil) }, "twice: Callback"},
		"failure": {func(f *forgedLines) {
			m := f.sent(nil, lineSpec{failures: 1, failure: true})
			f.ends(m, 0)
			f.reported(m, kindFailure, 0, nil)
		}, ""},
		"failure, no dead letter": {func(f *forgedLines) {
			m := f.sent(nil, lineSpec{failures: 1, failure: true})
			f.ends(m, 0)
			f.reported(m, kindFailure, 0, func(_ *lineRequest, j map[string]any) { delete(j, "dlqId") })
		}, "callback: Failure-Callback"},
		"three of two": {func(f *forgedLines) {
			two := &lineFlow{key: "k", parallelism: 2}
			for range 3 {
				f.comes(f.sent(nil, lineSpec{flow: two}), 0)
			}
		}, "parallelism: k: 3 attempts"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &forgedLines{newLineBook(func(seq uint64) []byte { return fmt.Append(nil, "body ", seq) }), time.UnixMilli(1_000_000)}
			c.run(f)
			said := strings.Join(f.texts, "\n")
			if (c.want == "") != (said == "") || !strings.Contains(said, c.want) {
				t.Errorf("complains %q, want %q", said, c.want)
			}
		})
	}
}

// calls is a message that has come, and its callback.
func (f *forgedLines) calls(spec lineSpec, change func(*lineRequest, map[string]any)) *lineMessage {
	m := f.sent(nil, spec)
	f.ends(m, 0)
	f.reported(m, kindCallback, 0, change)
	return m
}

// TestCrashLinesFinish: the crash test waits for what is to come, and for no more.
func TestCrashLinesFinish(t *testing.T) {
	f := &forgedLines{newLineBook(func(uint64) []byte { return nil }), time.UnixMilli(0)}
	want := func(n int) {
		t.Helper()
		if seqs, got := f.unfinished(); got != n {
			t.Errorf("%d unfinished, %v, want %d", got, seqs, n)
		}
	}
	f.unanswered(nil, lineSpec{endpoints: 3})
	want(0)
	f.ends(f.unanswered(nil, lineSpec{endpoints: 2}), 0) // one of two came: the other must
	want(1)
	m := f.sent(nil, lineSpec{failures: 1, callback: true, failure: true})
	want(2)
	f.ends(m, 0)
	want(2)
	f.reported(m, kindCallback, 0, nil)
	want(2)
	f.reported(m, kindFailure, 0, nil)
	want(1)
	if len(m.room) != 1 {
		t.Error("its producer has no room again")
	}
}

// TestCrashWindows: the tolerance that windows need is what they exceed.
func TestCrashWindows(t *testing.T) {
	burst := func(at ...int64) (out []int64) { // ten at a time
		for _, ms := range at {
			for range 10 {
				out = append(out, ms)
			}
		}
		return out
	}
	fixed, sliding := lineFlow{rate: 10, period: 2 * time.Second}, lineFlow{rate: 10, period: 2 * time.Second, sliding: true}
	for _, c := range []struct {
		flow lineFlow
		at   []int64
		need time.Duration
		bad  bool
	}{
		{fixed, burst(0, 2000, 4000), 0, false},
		{fixed, burst(1999, 2000, 4000), 0, false}, // the end of one window and the begin of the next
		{fixed, burst(1999, 2000, 3990), 9 * time.Millisecond, false},
		{fixed, burst(1999, 2000, 2001), 1998 * time.Millisecond, true},
		{fixed, burst(0, 500, 1999, 2500), 1500 * time.Millisecond, true},
		{sliding, burst(0, 2000, 4000), 0, false},
		{sliding, burst(0, 1990), 10 * time.Millisecond, false},
		{sliding, burst(0, 900), 1100 * time.Millisecond, true},
		{lineFlow{parallelism: 2}, burst(0, 0), 0, false},
	} {
		c.flow.at = c.at
		if n, need := c.flow.excess(); need != c.need || (n > 0) != c.bad {
			t.Errorf("%+v: %d stretches, a tolerance of %v; want %v", c.flow, n, need, c.need)
		}
	}
}
