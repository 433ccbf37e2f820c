package engine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// expiring opens an engine on which every attempt fails.
func expiring(t *testing.T, fs vfs.FS, wall *testWall, age time.Duration) *Engine {
	t.Helper()
	w := newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) { *r = dispatch.Result{Status: 500} }
	o := testOptions(fs, w)
	o.Wall, o.DeadAge = wall.now, age
	return open(t, o)
}

// TestDeadLettersExpire: a dead letter is kept as long as it should be, and not longer
// than until the next round; what expired is gone for good, in all accounts, is counted,
// and its record says why.
func TestDeadLettersExpire(t *testing.T) {
	fs, wall := vfs.NewMem(), newTestWall(testMorning)
	e := expiring(t, fs, wall, 24*time.Hour)
	if err := e.Bootstrap([]Account{{ID: 2, Name: "two", Token: "other", Keys: testAccount.Keys}}); err != nil {
		t.Fatal(err)
	}
	dead := func(u UserID) []DeadLetter {
		ds, _, err := e.DeadLetters(DeadLetterQuery{User: u})
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	for i, u := range []UserID{1, 2, 1} {
		publish(t, e, Publish{User: u})
		eventually(t, func() bool { return len(dead(1))+len(dead(2)) == i+1 })
		wall.move(e, time.Hour)
	}
	old := dead(1)[0].ID
	for _, c := range []struct {
		move      time.Duration
		n         int
		one, two  int
		wantStats uint64
	}{
		{21 * time.Hour, 0, 2, 1, 0}, // the first is as old as it may get
		{time.Millisecond, 1, 1, 1, 1},
		{time.Hour, 1, 1, 0, 2},
		{0, 0, 1, 0, 2},
		{-48 * time.Hour, 0, 1, 0, 2}, // a clock that is set back
		{72 * time.Hour, 1, 0, 0, 3},
	} {
		wall.move(e, c.move)
		n, err := e.expireDead(e.limits.Load().DeadAge)
		if err != nil || n != c.n || len(dead(1)) != c.one || len(dead(2)) != c.two || e.Stats().DeadExpired != c.wantStats {
			t.Fatalf("after %s: %d expired, %d and %d left, %d counted, %v; want %+v", c.move, n, len(dead(1)), len(dead(2)), e.Stats().DeadExpired, err, c)
		}
	}
	if _, err := e.RetryDeadLetter(1, old, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("what expired is retried: %v", err)
	}
	if err := e.log.Rotate(); err != nil {
		t.Fatal(err)
	}
	expired := 0
	segments := e.log.Segments()
	for _, s := range segments[:len(segments)-1] {
		if err := e.log.ReadSegment(s.First, func(lsn wal.LSN, p []byte) error {
			if typ, err := record.TypeOf(p); err == nil && typ == record.TypeDropDead && strings.HasSuffix(InspectRecord(lsn, p).String(), " expired") {
				expired++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if expired != 3 {
		t.Errorf("%d records say that they are expiries", expired)
	}
	closeEngine(t, e)
	e = expiring(t, fs, wall, 24*time.Hour)
	if len(dead(1))+len(dead(2)) > 0 {
		t.Error("an expired dead letter is back after a restart")
	}
}

// TestDeadLettersExpireInBatches: more than a batch, and by itself.
func TestDeadLettersExpireInBatches(t *testing.T) {
	wall := newTestWall(testMorning)
	e := expiring(t, vfs.NewMem(), wall, 24*time.Hour)
	const n = expireBatch + 200
	ps := make([]Publish, n)
	for i := range ps {
		ps[i] = Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/", i%10)}
	}
	for _, r := range e.PublishBatch(ps) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	eventually(t, func() bool { return len(allDead(t, e)) == n })
	wall.move(e, 25*time.Hour)
	if got, err := e.expireDead(e.limits.Load().DeadAge); got != n || err != nil || len(allDead(t, e)) > 0 {
		t.Errorf("%d, %v", got, err)
	}
}

// TestDeadLettersAreKeptForEver, if so configured.
func TestDeadLettersAreKeptForEver(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	if o.withDefaults(); o.DeadAge != 30*24*time.Hour {
		t.Errorf("the default is %s", o.DeadAge)
	}
	o.DeadAge = 59 * time.Second
	if err := o.validate(); err == nil || !strings.Contains(err.Error(), "retention.dlq") {
		t.Errorf("%v", err)
	}
	o.DeadAge = -1
	if err := o.validate(); err != nil {
		t.Error(err)
	}
	wall := newTestWall(testMorning)
	e := expiring(t, vfs.NewMem(), wall, -1)
	publish(t, e, Publish{})
	eventually(t, func() bool {
		ds, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
		return err == nil && len(ds) == 1
	})
	wall.move(e, 10_000*time.Hour)
	if n, err := e.expireDead(e.Limits().DeadAge); n != 0 || err != nil {
		t.Errorf("%d expired, %v", n, err)
	}
	l := e.Limits()
	l.DeadAge = time.Hour
	if err := e.SetLimits(l); err != nil {
		t.Fatal(err)
	}
	if n, err := e.expireDead(e.Limits().DeadAge); n != 1 || err != nil {
		t.Errorf("%d expired after retention.dlq was set, %v", n, err)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestExpiryTellsTheOperator: the loop runs by itself, and says what it did.
func TestExpiryTellsTheOperator(t *testing.T) {
	w, wall, lines := newFakeWire(), newTestWall(testMorning), new(lockedBuffer)
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) { *r = dispatch.Result{Status: 500} }
	o := testOptions(vfs.NewMem(), w)
	o.Wall, o.DeadAge, o.expireEvery, o.Logger = wall.now, 24*time.Hour, 5*time.Millisecond, slog.New(slog.NewTextHandler(lines, nil))
	e := open(t, o)
	publish(t, e, Publish{})
	eventually(t, func() bool { return len(allDead(t, e)) == 1 })
	wall.move(e, 25*time.Hour)
	eventually(t, func() bool { return strings.Contains(lines.String(), "dead letters have expired") })
	if text := lines.String(); !strings.Contains(text, "count=1") || !strings.Contains(text, "after=24h") {
		t.Error(text)
	}
}
