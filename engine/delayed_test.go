package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// delayedWire is the model of P16: it knows of each message, named by its body, when it
// is due, and notes when its one attempt starts.
type delayedWire struct {
	t    *testing.T
	wall *steppedWall
	due  []atomic.Int64 // unix ns, by number; 0: not published yet
	late []atomic.Int64 // ns, and one: 0 is not attempted yet
	left atomic.Int64
}

func newDelayedWire(t *testing.T, wall *steppedWall, n int) *delayedWire {
	w := &delayedWire{t: t, wall: wall, due: make([]atomic.Int64, n), late: make([]atomic.Int64, n)}
	w.left.Store(int64(n))
	return w
}

func (w *delayedWire) Do(a *dispatch.Attempt, r *dispatch.Result) {
	i := binary.LittleEndian.Uint32(a.Body)
	late := w.wall.now().UnixNano() - w.due[i].Load()
	if late < 0 {
		w.t.Errorf("message %d is attempted %v early", i, time.Duration(-late))
	}
	if !w.late[i].CompareAndSwap(0, late+1) {
		w.t.Errorf("message %d is attempted twice", i)
	}
	w.left.Add(-1)
	r.Status = 200
}

// publish publishes n messages with the given delays, to one of the lanes each. Time
// stands still meanwhile, so that the time before and the time of the publish are one.
func (w *delayedWire) publish(e *Engine, lanes int, delay func(i int) time.Duration) {
	w.t.Helper()
	n := len(w.due)
	for lo := 0; lo < n; lo += 500 {
		ps := make([]Publish, min(500, n-lo))
		for j := range ps {
			i := lo + j
			d := delay(i)
			w.due[i].Store(w.wall.now().Add(d).UnixNano())
			ps[j] = Publish{
				User: 1, URL: fmt.Sprintf("http://h%d.example/", i%lanes), Delay: d,
				Body: binary.LittleEndian.AppendUint32(nil, uint32(i)),
			}
		}
		publishAll(w.t, e, ps)
	}
}

// lateness returns percentiles and the largest, once all have been attempted.
func (w *delayedWire) lateness() (p50, p99, most time.Duration) {
	late := make([]int64, len(w.late))
	for i := range late {
		late[i] = w.late[i].Load() - 1
	}
	slices.Sort(late)
	n := len(late)
	return time.Duration(late[n/2]), time.Duration(late[n*99/100]), time.Duration(late[n-1])
}

// delayedMessages is how many messages the tests below publish: the million
// with TIDEMILL_DELAYED=1000000.
func delayedMessages(t *testing.T) int {
	v := os.Getenv("TIDEMILL_DELAYED")
	if v == "" {
		return delayedDefault
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("TIDEMILL_DELAYED=%q: want a number of messages", v)
	}
	return n
}

// TestDelayedMessages is P16 and T2 through the whole engine, in virtual time and
// against a model: each message starts once, never before it is due, and at the latest
// when the outcomes before it are durable (L5). They are published around the edge of
// the horizon; the clock is then set forward, since a virtual second costs a real tenth.
func TestDelayedMessages(t *testing.T) {
	n := delayedMessages(t)
	spread := max(2*time.Second, time.Duration(n)*50*time.Microsecond)
	rng := rand.New(rand.NewPCG(randomSeed(t), 2))
	same := func(int) time.Duration { return 61 * time.Second }
	tests := []struct {
		name  string
		lanes int
		delay func(i int) time.Duration
		// p99 of the lateness. It is 2 to 10 ms, and 20 to 200 on a busy machine: virtual time
		// goes on while a page waits for the applier, whose goroutine may be the last to run.
		p99 time.Duration
	}{
		{"spread", 50, func(int) time.Duration { return 59*time.Second + time.Duration(rng.Int64N(int64(spread))) }, time.Second},
		{"one millisecond, one lane", 1, same, time.Minute},
		{"one millisecond, 200 lanes", 200, same, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			synctest.Test(t, func(t *testing.T) {
				p50, p99, most := delayedRun(t, n, tt.lanes, tt.delay)
				t.Logf("%d messages, late by %v (p50), %v (p99), %v (max) in virtual time", n, p50, p99, most)
				if p99 > tt.p99 {
					t.Errorf("late by %v (p99), want at most %v", p99, tt.p99)
				}
			})
			t.Logf("in %v of real time", time.Since(start).Round(time.Millisecond))
		})
	}
}

// delayedRun publishes n messages, of which memory may hold a twentieth, and waits for
// all of them.
func delayedRun(t *testing.T, n, lanes int, delay func(i int) time.Duration) (p50, p99, most time.Duration) {
	wall := new(steppedWall)
	w := newDelayedWire(t, wall, n)
	o := testOptions(vfs.NewMem(), w)
	o.Wall, o.Resident, o.SegmentSize, o.MemtableSize = wall.now, n/20, 16<<20, 16<<20
	e := open(t, o)
	w.publish(e, lanes, delay)
	time.Sleep(time.Second) // what is near is in the wheel
	wall.step(57500 * time.Millisecond)
	for end := time.Now().Add(5 * time.Minute); w.left.Load() > 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}
	if left := w.left.Load(); left != 0 {
		t.Fatalf("%d messages were not attempted", left)
	}
	closeEngine(t, e)
	t.Logf("%d entries, %d messages may be resident", len(e.core.entries), o.Resident)
	return w.lateness()
}
