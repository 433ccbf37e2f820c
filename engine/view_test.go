package engine

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// holdApplier keeps the applier from applying anything until release is called.
func holdApplier(t *testing.T, e *Engine) (release func()) {
	t.Helper()
	holds, let := make(chan struct{}), make(chan struct{})
	e.applier.order(func(*index.Applier) error {
		close(holds)
		<-let
		return nil
	})
	<-holds
	return func() { close(let) }
}

// awaitReader waits until a read waits for the applier, and checks that none has
// come back.
func awaitReader[T any](t *testing.T, e *Engine, got chan T) {
	t.Helper()
	eventually(t, func() bool {
		e.applier.mu.Lock()
		defer e.applier.mu.Unlock()
		return e.applier.mu.waiting > 0 || len(got) > 0
	})
	if len(got) > 0 {
		t.Error("a read did not wait for the applier")
	}
}

// TestReadsSeeTheirWrites (X5): a message that was just acknowledged is found, by
// its id, though the applier has not seen it yet.
func TestReadsSeeTheirWrites(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	release := holdApplier(t, e)
	id := publish(t, e, Publish{Delay: time.Hour})
	got := make(chan error, 1)
	go func() {
		_, err := e.Message(1, id)
		got <- err
	}()
	awaitReader(t, e, got)
	release()
	if err := <-got; err != nil {
		t.Errorf("the message of an answered publish: %v", err)
	}
}

// TestPageWaitsForTheApplier (X3, T2): a page shows everything that was committed
// before it was asked for, however far the applier lags.
func TestPageWaitsForTheApplier(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	release := holdApplier(t, e)
	const n = 50
	for range n {
		publish(t, e, Publish{URL: "http://far.example/", Delay: time.Hour})
	}
	host, err := dispatch.HostKey("http://far.example/")
	if err != nil {
		t.Fatal(err)
	}
	q := pageCommand{lane: hostID(host), maxDue: 1 << 60, limit: 100, after: uint64(e.log.Durable().LSN)}
	got := make(chan int, 1)
	go func() {
		p, err := e.readPage(&q)
		if err != nil {
			t.Error(err)
		}
		got <- len(p.Rows)
	}()
	awaitReader(t, e, got)
	release()
	if rows := <-got; rows != n {
		t.Errorf("the page shows %d messages, %d were committed before", rows, n)
	}
}

// TestDuplicateSharesItsOriginalsFate (X5): a duplicate is answered only when its
// original is on disk, and fails when that does.
func TestDuplicateSharesItsOriginalsFate(t *testing.T) {
	for name, fate := range map[string]error{"stored": nil, "lost": errors.New("input/output error")} {
		t.Run(name, func(t *testing.T) {
			disk := powerfs.New()
			var armed, released atomic.Bool
			syncing, let := make(chan struct{}), make(chan struct{})
			disk.Fault = func(op, file string) error {
				if op != "SyncData" || !strings.HasSuffix(file, ".seg") || !armed.CompareAndSwap(true, false) {
					return nil
				}
				close(syncing)
				<-let
				return fate
			}
			o := testOptions(disk, newFakeWire())
			failed := make(chan struct{})
			o.OnFatal = func(error) { close(failed) }
			e := open(t, o)
			p := Publish{User: 1, URL: "http://h.example/", Delay: time.Hour, DedupID: "one"}
			armed.Store(true)
			original := make(chan error, 1)
			go func() {
				_, err := e.Publish(&p)
				original <- err
			}()
			<-syncing
			sub, err := e.submit(&p)
			if err != nil || sub.duplicate == nil {
				t.Fatalf("the duplicate was not recognised: %v", err)
			}
			duplicate := make(chan error, 1)
			go func() {
				_, err := e.settle(&sub)
				if !released.Load() {
					t.Error("a duplicate was answered while its original was not on disk")
				}
				duplicate <- err
			}()
			for range 1000 {
				runtime.Gosched() // an answer that waits for nothing comes now
			}
			released.Store(true)
			close(let)
			if err := <-original; (err == nil) != (fate == nil) {
				t.Errorf("the original: %v", err)
			}
			if err := <-duplicate; (err == nil) != (fate == nil) {
				t.Errorf("the duplicate of an original with fate %v: %v", fate, err)
			}
			if fate != nil {
				<-failed // Shutdown returns an error that OnFatal has not had
			}
		})
	}
}

// steppedEngine is an engine without goroutines. Its clock is *now, unix ms.
func steppedEngine(t *testing.T, now *int64) *Engine {
	t.Helper()
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.manual, o.HistoryAge = true, time.Minute
	o.Wall = func() time.Time { return time.UnixMilli(*now) }
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

// applyNow commits and applies everything.
func applyNow(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.log.Commit(); err != nil {
		t.Fatal(err)
	}
	groups, _ := e.applier.take(nil)
	err := e.applier.obey()
	if err == nil {
		_, err = e.applyGroups(groups)
	}
	if err == nil {
		err = e.flushBatch()
	}
	for _, ev := range e.inbox.swap(nil) {
		if ev.group != nil {
			ev.group.Release()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func submitNow(t *testing.T, e *Engine, p Publish) {
	t.Helper()
	p.User, p.URL = 1, "http://h.example/"
	if _, err := e.submit(&p); err != nil {
		t.Fatal(err)
	}
	applyNow(t, e)
}

// TestLagIsRead (X2): what a start would replay is read from the index, so that
// every flush counts, Pebble's own ones too; and too much of it refuses publishes.
func TestLagIsRead(t *testing.T) {
	now := int64(1_800_000_000_000)
	e := steppedEngine(t, &now)
	read := func() int64 {
		t.Helper()
		if err := e.readCheckpoint(); err != nil {
			t.Fatal(err)
		}
		return e.unflushed()
	}
	if n := read(); n != 0 {
		t.Errorf("a new log: %d bytes are not flushed", n)
	}
	submitNow(t, e, Publish{Delay: time.Hour, Body: make([]byte, 1000)})
	n := read()
	if n < 200 || n > 4096 {
		t.Errorf("after one message %d bytes are not flushed", n)
	}
	if err := e.idx.Flush(); err != nil { // by nobody the engine knows of
		t.Fatal(err)
	}
	if n := read(); n != 0 {
		t.Errorf("after a flush %d bytes are not flushed", n)
	}
	submitNow(t, e, Publish{Delay: time.Hour})
	if err := e.flushIfDue(); err != nil || e.unflushed() == 0 {
		t.Errorf("flushed at once: %v", err)
	}
	e.flusher.moved = e.flusher.moved.Add(-flushEvery)
	if err := e.flushIfDue(); err != nil || e.unflushed() != 0 {
		t.Errorf("not flushed when it was time: %v", err)
	}
	if e.overloaded() {
		t.Error("overloaded with nothing to flush")
	}
	e.opts.SegmentSize = unflushedMax + 1
	e.flusher.checkpoint.Store(e.idx.Applied() - 1<<32) // the same place, a segment before
	if got := e.lagging(); got != readerCheckpoint {
		t.Errorf("with a checkpoint that lags 1 GiB the lagging reader is %d", got)
	}
	if _, err := e.Publish(&Publish{User: 1, URL: "http://example.com/"}); !errors.Is(err, ErrOverloaded) {
		t.Errorf("publish: %v", err)
	}
	if s := e.Stats(); s.RefusedLag != 1 || s.RefusedCheckpoint != 1 || s.RefusedApplier != 0 || s.RefusedCore != 0 {
		t.Errorf("refused: %d, %d of them for the checkpoint, %d, %d", s.RefusedLag, s.RefusedCheckpoint, s.RefusedApplier, s.RefusedCore)
	}
}

// TestHistoryIsTrimmed (X6): the flusher finds what is too old and the applier
// removes it, also when nothing else happens.
func TestHistoryIsTrimmed(t *testing.T) {
	now := int64(1_800_000_000_000)
	e := steppedEngine(t, &now)
	count := func() (n int) {
		t.Helper()
		err := e.idx.History(0, false, func(*index.History) (bool, error) { n++; return true, nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	trim := func() {
		t.Helper()
		e.flusher.looked = time.Time{}
		if err := e.trimHistory(); err != nil {
			t.Fatal(err)
		}
		applyNow(t, e)
	}
	for range 10 {
		submitNow(t, e, Publish{Delay: time.Hour})
		now += 10_000
	}
	trim()
	if n := count(); n != 6 && n != 7 {
		t.Errorf("%d rows of the last minute, want 6 or 7", n)
	}
	now += 3_600_000
	trim()
	if n := count(); n != 0 {
		t.Errorf("%d rows are left after an hour", n)
	}
}

// TestOldLayout: the index of an earlier version is rebuilt, the one of a later
// version is refused.
func TestOldLayout(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, newFakeWire())
	e := open(t, o)
	id := publish(t, e, Publish{Delay: time.Hour, Body: []byte("kept")})
	closeEngine(t, e)

	setLayout(t, fs, 99)
	_, err := Open(o)
	if le, ok := errors.AsType[*index.LayoutError](err); !ok || le.Found != 99 {
		t.Fatalf("the index of a later version: %v", err)
	}
	setLayout(t, fs, 1)
	if err := fs.MkdirAll("data/"+oldIndex, 0o700); err != nil { // of a removal that a crash cut short
		t.Fatal(err)
	}
	e = open(t, o)
	if m, err := e.Message(1, id); err != nil || string(m.Body) != "kept" {
		t.Errorf("after the rebuild: %+v %v", m, err)
	}
	if names, err := fs.List("data"); err != nil || strings.Contains(strings.Join(names, " "), oldIndex) {
		t.Errorf("the directory holds %q, %v", names, err)
	}
}

// quiet logs errors only.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any) {}

// setLayout changes the layout that the index claims.
func setLayout(t *testing.T, fs vfs.FS, layout byte) {
	t.Helper()
	db, err := pebble.Open("data/index", &pebble.Options{FS: fs, Logger: quiet{pebble.DefaultLogger}})
	if err != nil {
		t.Fatal(err)
	}
	v, closer, err := db.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte{0, 0, 0, layout}, v[4:]...)
	if err := errors.Join(closer.Close(), db.Set([]byte("a"), changed, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
}
