package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestLargeAnswer: an answer larger than message.max-size is kept, cut to
// response.max-size; it once was more than a record may hold, and fatal.
func TestLargeAnswer(t *testing.T) {
	w := newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) {
		*r = dispatch.Result{Status: 500, Body: make([]byte, 1<<20)}
		for range 2000 {
			r.Header = append(r.Header, dispatch.Header{Name: "X-Many", Value: strings.Repeat("v", 100)})
		}
	}
	o := testOptions(vfs.NewMem(), w)
	o.MessageMax, o.ResponseMax = 64<<10, 100<<10
	o.OnFatal = func(err error) { t.Errorf("the server died of an answer: %v", err) }
	e := open(t, o)
	publish(t, e, Publish{Retries: 0})
	var d []DeadLetter
	eventually(t, func() bool { d, _, _ = e.DeadLetters(DeadLetterQuery{User: 1}); return len(d) == 1 })
	if len(d[0].ResponseBody) != o.ResponseMax || len(d[0].ResponseHeader) == 0 {
		t.Errorf("%d bytes and %d headers were kept", len(d[0].ResponseBody), len(d[0].ResponseHeader))
	}
}

// TestWaitingDoNotHoldUpDue: a lane full of messages that wait still takes one
// that is due now.
func TestWaitingDoNotHoldUpDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &timedWire{reply: dispatch.Result{Status: 200}}
		e := open(t, testOptions(vfs.NewMem(), w))
		ps := make([]Publish, 5000)
		for i := range ps {
			ps[i] = Publish{User: 1, URL: "http://example.com/", Delay: 50 * time.Second}
		}
		publishAll(t, e, ps)
		time.Sleep(time.Second)
		start := time.Now()
		publish(t, e, Publish{URL: "http://example.com/"})
		time.Sleep(2 * time.Minute)
		times := w.seen()
		if late := times[0].Sub(start); late > time.Second || len(times) != len(ps)+1 {
			t.Errorf("a message due now was attempted after %v; %d attempts in all", late, len(times))
		}
	})
}

// TestPassingReadError: a record that cannot be read for want of a file
// descriptor is tried again; it is not a dead letter.
func TestPassingReadError(t *testing.T) {
	disk := powerfs.New()
	var broken atomic.Bool
	var refused atomic.Int64
	disk.Fault = func(op, name string) error {
		if broken.Load() && strings.HasPrefix(op, "Open") && strings.HasSuffix(name, ".seg") {
			refused.Add(1)
			return errors.New("too many open files")
		}
		return nil
	}
	w := newFakeWire()
	o := testOptions(disk, w)
	o.noRecent = true
	e := open(t, o)
	broken.Store(true)
	id := publish(t, e, Publish{Retries: 0})
	eventually(t, func() bool { return refused.Load() > 0 })
	broken.Store(false)
	if got := w.next(t); got.header["Upstash-Message-Id"] != id || got.header["Upstash-Retried"] != "0" {
		t.Errorf("delivered %v", got.header)
	}
	if d, _, err := e.DeadLetters(DeadLetterQuery{User: 1}); err != nil || len(d) != 0 {
		t.Errorf("%d dead letters, %v", len(d), err)
	}
}

// TestDamagedDeadLetter is W7: a damaged message becomes a dead letter that can
// be listed and deleted, beside others that can still be read.
func TestDamagedDeadLetter(t *testing.T) {
	fs, w := vfs.NewMem(), newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) { *r = dispatch.Result{Status: 500} }
	o := testOptions(fs, w)
	start := time.Now()
	var off atomic.Int64
	o.Wall = func() time.Time { return start.Add(time.Duration(off.Load())) }
	e := open(t, o)
	good := publish(t, e, Publish{Retries: 0, Body: []byte("readable")})
	count := func() int { d, _, _ := e.DeadLetters(DeadLetterQuery{User: 1}); return len(d) }
	eventually(t, func() bool { return count() == 1 })
	bad := publish(t, e, Publish{Delay: 30 * time.Second, Body: []byte("precious")})
	damage(t, fs, "precious")
	off.Store(int64(time.Minute))
	eventually(t, func() bool { return count() == 2 })
	d, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
	if err != nil || d[0].Message.ID != good || string(d[0].Body) != "readable" || d[1].Message.ID != bad || d[1].Error != ErrDamaged.Error() {
		t.Errorf("%+v %v", d, err)
	}
	if v, err := e.DeadLetter(1, d[1].ID); err != nil || v.Message.ID != bad {
		t.Errorf("get: %+v %v", v, err)
	}
	if _, err := e.RetryDeadLetter(1, d[1].ID, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("retry: %v", err)
	}
	if err := e.DeleteDeadLetter(1, d[1].ID); err != nil || count() != 1 {
		t.Errorf("delete: %v", err)
	}
}

// damage changes one byte of the log where the text stands.
func damage(t *testing.T, fs vfs.FS, text string) {
	t.Helper()
	names, err := fs.List("data/log")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, n := range names {
		if !strings.HasSuffix(n, ".seg") {
			continue
		}
		f, err := fs.OpenReadWrite("data/log/"+n, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1<<20)
		n, _ := f.ReadAt(b, 0)
		if i := strings.Index(string(b[:n]), text); i >= 0 {
			found = true
			if _, err := f.WriteAt([]byte("X"), int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("%q is not in the log", text)
	}
}

// TestUseAfterShutdown: what comes too late is refused, by every method.
func TestUseAfterShutdown(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	id := publish(t, e, Publish{Delay: time.Hour})
	closeEngine(t, e)
	for name, f := range map[string]func() error{
		"message": func() error { _, err := e.Message(1, id); return err },
		"list":    func() error { _, _, err := e.DeadLetters(DeadLetterQuery{User: 1}); return err },
		"publish": func() error {
			_, err := e.Publish(&Publish{User: 1, URL: "http://x.example/", DedupID: "q"})
			return err
		},
		"retry":  func() error { _, err := e.RetryDeadLetter(1, "1-1", nil); return err },
		"delete": func() error { return e.DeleteDeadLetter(1, "1-1") },
		"cancel": func() error { return e.Cancel(1, id) },
	} {
		if err := f(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIntervalReadsItsWrites: with log.fsync=interval a producer still finds
// what it was told is stored.
func TestIntervalReadsItsWrites(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.FsyncInterval = time.Second
	e := open(t, o)
	id := publish(t, e, Publish{Delay: time.Hour})
	if _, err := e.Message(1, id); err != nil {
		t.Errorf("message: %v", err)
	}
	if err := e.Cancel(1, publish(t, e, Publish{Delay: time.Hour})); err != nil {
		t.Errorf("cancel: %v", err)
	}
}

// TestCancelAfterPoison: a cancel that reaches the core after the log has failed
// is answered, and not with success.
func TestCancelAfterPoison(t *testing.T) {
	c := newCore(&Options{Parallelism: 1, HostParallelism: 1, Resident: 10}, 0)
	c.poison(ErrLogFailed)
	for _, kind := range []eventKind{evCancel, evRow} {
		if _, err := c.step(0, []event{{kind: kind, req: &cancelRequest{seq: 1}}}); err != nil {
			t.Fatal(err)
		}
		if len(c.out.answers) != 1 || !errors.Is(c.out.answers[0].err, ErrLogFailed) {
			t.Errorf("event %d: %v", kind, c.out.answers)
		}
	}
}

// TestWorkerKeepsNoLargeBody: an idle worker does not hold on to the last body.
func TestWorkerKeepsNoLargeBody(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	body := make([]byte, 1<<20)
	for i := range body {
		body[i] = byte(i * i >> 3)
	}
	id := publish(t, e, Publish{Body: body, Delay: time.Hour})
	seq, _, _ := parseMessageID(id)
	if err := e.catchUp(); err != nil {
		t.Fatal(err)
	}
	row, ok, err := e.idx.Row(seq)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	a := newAttempter(e)
	a.run(&startCommand{row: row, attempt: 1})
	if n := cap(a.record) + cap(a.body) + cap(a.message.Body) + cap(a.attempt.Body); n > 2*attempterMax {
		t.Errorf("%d bytes are kept", n)
	}
}

// TestLagCountsBuffers: small groups hold whole buffers, and count as such.
func TestLagCountsBuffers(t *testing.T) {
	e := manualEngine(t)
	for range 100 {
		s, err := e.submit(&Publish{User: 1, URL: "http://example.com/"})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.log.Commit(); err != nil {
			t.Fatal(err)
		}
		if _, err := e.settle(&s); err != nil {
			t.Fatal(err)
		}
	}
	var held int64
	for _, g := range e.applier.mu.groups {
		held += int64(g.Buffer())
	}
	if got := e.applier.lag.Load(); got != held || held < 100*1024 || e.coreLag.Load() == 0 {
		t.Errorf("lag says %d, %d bytes are held; the core's lag says %d", got, held, e.coreLag.Load())
	}
}

// manualEngine is an engine that does nothing by itself.
func manualEngine(t *testing.T) *Engine {
	t.Helper()
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.manual, o.Parallelism, o.HostParallelism = true, 100, 100
	o.withDefaults()
	e, err := recoverEngine(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.closeFiles(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestHungryLanesWithoutRoom is L4 again: thousands of lanes that want a page and
// may hold no more do not delay one that holds nothing.
func TestHungryLanesWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHostWire()
		o := testOptions(vfs.NewMem(), w)
		o.Resident = 1000
		e := open(t, o)
		t.Cleanup(func() { close(w.stop) })
		var ps []Publish
		for range 4 {
			for h := range hungryLanes {
				ps = append(ps, Publish{User: 1, URL: fmt.Sprintf("http://dead%d.example/", h), Retries: 100, RetryDelay: "50000"})
			}
		}
		publishAll(t, e, ps)
		time.Sleep(20 * time.Second)
		w.checkHealthy(t, e, 200, 5*time.Second)
	})
}

// TestRetriesLogLittle: only a dead letter keeps the whole answer (L7).
func TestRetriesLogLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire()
		w.reply = func(_ *fakeAttempt, r *dispatch.Result) { *r = dispatch.Result{Status: 500, Body: make([]byte, 1<<20)} }
		e := open(t, testOptions(vfs.NewMem(), w))
		before := e.log.Stats().PayloadBytes
		publish(t, e, Publish{Retries: 20, RetryDelay: "1"})
		time.Sleep(time.Minute)
		if n := e.log.Stats().PayloadBytes - before; n < 1<<20 || n > 1<<20+20*8<<10 {
			t.Errorf("20 retries of one message logged %d bytes", n)
		}
	})
}

// TestUndurableBytes: outcomes that are not durable are bounded by bytes, too.
func TestUndurableBytes(t *testing.T) {
	e := manualEngine(t)
	for i := range 600 {
		if _, err := e.submit(&Publish{User: 1, URL: fmt.Sprintf("http://h%d.example.com/", i%10)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.log.Commit(); err != nil {
		t.Fatal(err)
	}
	bytes, now := 0, e.wallMillis()
	for range 60 {
		if _, err := e.core.step(now, e.inbox.swap(nil)); err != nil {
			t.Fatal(err)
		}
		for _, a := range e.core.out.appends {
			bytes += a.outcome.Size()
		}
		for _, s := range e.core.out.starts {
			r := &attemptResult{answered: true, outcome: record.Outcome{Body: make([]byte, 1<<20)}}
			e.inbox.push(event{kind: evFinished, slot: s.slot, result: r})
		}
	}
	if most := undurableBytesMax + e.limits.Load().Parallelism*(1<<20+4096); bytes > most || e.core.undurable == 0 {
		t.Errorf("%d outcomes of %d bytes are not durable, the bound is %d", e.core.undurable, bytes, most)
	}
}
