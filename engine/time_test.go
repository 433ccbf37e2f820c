package engine

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// timedWire fails every attempt and notes when it came.
type timedWire struct {
	mu    sync.Mutex
	times []time.Time
	reply dispatch.Result
}

// seen returns the times of the attempts, when all is quiet.
func (w *timedWire) seen() []time.Time {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times
}

func (w *timedWire) Do(_ *dispatch.Attempt, r *dispatch.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = append(w.times, time.Now())
	*r = w.reply
}

// TestRetryTimes runs half an hour of retries in virtual time, through the whole engine:
// the default backoff (QSTASH.md §5.3), an expression, and what the destination
// asks for.
func TestRetryTimes(t *testing.T) {
	s := time.Second
	tests := []struct {
		name    string
		publish Publish
		reply   dispatch.Result
		gaps    []time.Duration
	}{
		{
			"default",
			Publish{Retries: 6},
			dispatch.Result{Status: 500},
			[]time.Duration{12 * s, 148 * s, 1808 * s, 22026 * s, 24 * time.Hour, 24 * time.Hour},
		},
		{
			"expression",
			Publish{Retries: 3, RetryDelay: "1000 * (1 + retried)"},
			dispatch.Result{Status: 500},
			[]time.Duration{1 * s, 2 * s, 3 * s},
		},
		{
			"retry-after",
			Publish{Retries: 2, RetryDelay: "1"},
			dispatch.Result{Status: 429, Header: []dispatch.Header{{Name: "Retry-After", Value: "90"}}},
			[]time.Duration{90 * s, 90 * s},
		},
		{"no response", Publish{Retries: 1}, dispatch.Result{Class: dispatch.Connect, Err: context.DeadlineExceeded}, []time.Duration{12 * s}},
		{
			"non-retryable",
			Publish{Retries: 5},
			dispatch.Result{Status: 489, Header: []dispatch.Header{{Name: "Upstash-NonRetryable-Error", Value: "true"}}},
			nil,
		},
		{"489 alone", Publish{Retries: 1}, dispatch.Result{Status: 489}, []time.Duration{12 * s}},
		{"redirect", Publish{Retries: 1}, dispatch.Result{Status: 301}, []time.Duration{12 * s}},
		{"refused address", Publish{Retries: 5}, dispatch.Result{Class: dispatch.Refused, Err: context.Canceled}, nil},
	}
	for _, tt := range tests {
		if len(tt.gaps) > retryDays { // each virtual second costs
			tt.publish.Retries, tt.gaps = retryDays, tt.gaps[:retryDays]
		}
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &timedWire{reply: tt.reply}
				e := open(t, testOptions(vfs.NewMem(), w))
				tt.publish.User, tt.publish.URL = 1, "http://example.com/"
				if _, err := e.Publish(&tt.publish); err != nil {
					t.Fatal(err)
				}
				for _, gap := range tt.gaps {
					time.Sleep(gap + time.Second)
				}
				time.Sleep(time.Second)
				checkGaps(t, w.seen(), tt.gaps)
				if dead, _, err := e.DeadLetters(DeadLetterQuery{User: 1}); err != nil || len(dead) != 1 {
					t.Errorf("%d dead letters, %v", len(dead), err)
				}
			})
		})
	}
}

// checkGaps wants each attempt at its time: never early, and late by no more
// than the outcome before it may wait for company in the log (L5).
func checkGaps(t *testing.T, times []time.Time, want []time.Duration) {
	t.Helper()
	if len(times) != len(want)+1 {
		t.Fatalf("%d attempts, want %d", len(times), len(want)+1)
	}
	for i, gap := range want {
		if got := times[i+1].Sub(times[i]); got < gap || got > gap+20*time.Millisecond {
			t.Errorf("retry %d came after %v, want %v", i+1, got, gap)
		}
	}
}

// TestNeverEarly: a delayed message is attempted at its time, to the
// millisecond, whatever part of a millisecond it was published in.
func TestNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &timedWire{reply: dispatch.Result{Status: 200}}
		e := open(t, testOptions(vfs.NewMem(), w))
		var due []time.Time
		for i := range 50 {
			time.Sleep(137 * time.Microsecond)
			d := time.Duration(i*i) * 997 * time.Millisecond / 10
			due = append(due, time.Now().Add(d))
			if _, err := e.Publish(&Publish{User: 1, URL: "http://example.com/", Delay: d}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		times := w.seen()
		if len(times) != len(due) {
			t.Fatalf("%d attempts of %d", len(times), len(due))
		}
		for i := range due {
			if late := times[i].Sub(due[i]); late < 0 || late > 20*time.Millisecond {
				t.Errorf("message %d was attempted %v after its time", i, late)
			}
		}
	})
}

// TestShutdownWaitsForAttempts: an attempt in flight ends and counts; one that
// does not end in time is made again after the next start and uses up no retry.
func TestShutdownWaitsForAttempts(t *testing.T) {
	for _, patience := range []time.Duration{time.Minute, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			fs := vfs.NewMem()
			w := &slowWire{took: 10 * time.Second}
			e := open(t, testOptions(fs, w))
			publish(t, e, Publish{Retries: 0})
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := e.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			e = open(t, testOptions(fs, w))
			time.Sleep(time.Minute)
			want := int64(1)
			if patience < w.took {
				want = 2
			}
			if got := w.count(); got != want {
				t.Errorf("patience %v: %d attempts, want %d", patience, got, want)
			}
			if dead, _, _ := e.DeadLetters(DeadLetterQuery{User: 1}); len(dead) != 0 {
				t.Errorf("patience %v: %d dead letters", patience, len(dead))
			}
		})
	}
}

type slowWire struct {
	took time.Duration
	mu   sync.Mutex
	n    int64
}

func (w *slowWire) count() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

func (w *slowWire) Do(_ *dispatch.Attempt, r *dispatch.Result) {
	time.Sleep(w.took)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	*r = dispatch.Result{Status: 200}
}
