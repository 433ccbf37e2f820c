package engine

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// repair runs what `tidemill wal repair` does.
func repair(t *testing.T, fs vfs.FS) *Repaired {
	t.Helper()
	o, err := OpenOffline(fs, "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Lock(); err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r, err := o.Repair()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hourLater is a start at a time when what was delayed is due.
func hourLater(o Options) Options {
	o.Wall = func() time.Time { return time.Now().Add(time.Hour) }
	return o
}

// TestRepairCostsOneMessage: a message whose record is damaged is a dead letter
// after a repair, since the index knows of it; the others are delivered.
func TestRepairCostsOneMessage(t *testing.T) {
	fs, w := vfs.NewMem(), newFakeWire()
	e := open(t, testOptions(fs, w))
	var ids []string
	for _, body := range []string{"first-body", "second-body", "third-body"} {
		ids = append(ids, publish(t, e, Publish{Delay: 30 * time.Minute, Body: []byte(body)}))
	}
	closeEngine(t, e)
	damage(t, fs, "second-body")

	r := repair(t, fs)
	if n, more := r.Lost(); n != 1 || more || r.Index != "" || !strings.Contains(r.Damages[0].Lost[0].What, ids[1]) {
		t.Fatalf("%+v, index: %q", r.Report, r.Index)
	}
	if again := repair(t, fs); len(again.Damages) > 0 || again.Aside != "" {
		t.Fatalf("a second repair: %+v", again.Report)
	}
	e = open(t, hourLater(testOptions(fs, w)))
	for range 2 {
		if got := w.next(t); string(got.body) != "first-body" && string(got.body) != "third-body" {
			t.Errorf("delivered %q", got.body)
		}
	}
	eventually(t, func() bool {
		dead, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
		return err == nil && len(dead) == 1 && dead[0].Message.ID == ids[1]
	})
}

// TestRepairThenRebuild: the outcome of a message whose record was lost must not
// hide another message of its lane when the index is rebuilt.
func TestRepairThenRebuild(t *testing.T) {
	fs, w := vfs.NewMem(), newFakeWire()
	e := open(t, testOptions(fs, w))
	gone := publish(t, e, Publish{Delay: 30 * time.Minute, Body: []byte("gone-body")})
	publish(t, e, Publish{Delay: 30 * time.Minute, Body: []byte("kept-body")})
	if err := e.Cancel(1, gone); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	damage(t, fs, "gone-body")
	repair(t, fs)
	if err := fs.RemoveAll("data/index"); err != nil {
		t.Fatal(err)
	}
	open(t, hourLater(testOptions(fs, w)))
	if got := w.next(t); string(got.body) != "kept-body" {
		t.Errorf("delivered %q", got.body)
	}
}

// TestRepairSetsTheIndexAside: one that is damaged, or of another log.
func TestRepairSetsTheIndexAside(t *testing.T) {
	fs, other := vfs.NewMem(), vfs.NewMem()
	for _, fs := range []*vfs.MemFS{fs, other} {
		e := open(t, testOptions(fs, newFakeWire()))
		publish(t, e, Publish{Delay: time.Hour, Body: []byte("body")})
		closeEngine(t, e)
	}
	if err := fs.RemoveAll("data/index"); err != nil {
		t.Fatal(err)
	}
	if ok, err := vfs.Clone(other, fs, "data/index", "data/index"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err := Open(testOptions(fs, newFakeWire())); err == nil {
		t.Fatal("the index of another log was accepted")
	}
	r := repair(t, fs)
	if r.Index == "" || len(r.Damages) > 0 {
		t.Fatalf("index: %q, %+v", r.Index, r.Report)
	}
	if _, err := fs.Stat(fs.PathJoin(r.Aside, "index")); err != nil {
		t.Fatal(err)
	}
	open(t, testOptions(fs, newFakeWire()))
}

func TestOpenOfflineRefuses(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := OpenOffline(fs, "data"); err == nil || !strings.Contains(err.Error(), "is not a data directory: it holds no VERSION") {
		t.Errorf("no directory: %v", err)
	}
	open(t, testOptions(fs, newFakeWire()))
	o, err := OpenOffline(fs, "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("beside a running engine: %v", err)
	}
	if _, err := OpenOffline(denied{fs}, "data"); err == nil || !strings.Contains(err.Error(), "run this as the user that the server runs as") {
		t.Errorf("of another user: %v", err)
	}
	rep, _, err := o.Verify()
	if err != nil || len(rep.Damages) > 0 || rep.Records == 0 {
		t.Errorf("verify beside a running engine: %+v, %v", rep, err)
	}
}

// denied is a disk on which nothing may be read.
type denied struct{ vfs.FS }

func (denied) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrPermission}
}
