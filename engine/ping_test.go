package engine

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestPing: the engine answers while its disk hangs (P13), for the loop does no I/O and
// the committer is excused; it does not while its loop is stuck.
func TestPing(t *testing.T) {
	disk := &stallFS{FS: powerfs.New(), waiting: make(chan struct{}, 1)}
	o := testOptions(disk, newFakeWire())
	o.stallAfter = 30 * time.Millisecond
	e := open(t, o)
	ping := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		return e.Ping(ctx)
	}
	if err := ping(time.Minute); err != nil {
		t.Fatalf("idle: %v", err)
	}
	release := disk.stop()
	defer release()
	published := make(chan error, 1)
	go func() {
		p := Publish{User: 1, URL: "http://example.com/", Body: []byte("x")}
		_, err := e.Publish(&p)
		published <- err
	}()
	<-disk.waiting
	if err := ping(time.Second); err != nil {
		t.Errorf("while a sync hangs: %v", err)
	}
	release()
	<-published

	stuck, free := make(chan struct{}), make(chan struct{})
	e.inbox.push(event{kind: evQuery, query: func(*core) { close(stuck); <-free }})
	<-stuck
	if err := ping(time.Millisecond); err == nil || !strings.Contains(err.Error(), "the loop has taken no step") {
		t.Errorf("while the loop is stuck: %v", err)
	}
	close(free)
	if err := ping(time.Minute); err != nil {
		t.Errorf("after it: %v", err)
	}
	closeEngine(t, e)
	if err := ping(time.Minute); err != nil {
		t.Errorf("closed: %v", err)
	}
}

// TestOpenTellsProgress: without an index the end of the log is checked and all of it
// replayed, and Open says how far it is.
func TestOpenTellsProgress(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, newFakeWire())
	e := open(t, o)
	const n, size = 16, 256 << 10
	body, chance := make([]byte, size), rand.NewChaCha8([32]byte{1})
	for range n {
		chance.Read(body) //nolint:errcheck // never fails; random, since bodies are compressed
		publish(t, e, Publish{Delay: time.Hour, Body: body})
	}
	closeEngine(t, e)
	if err := fs.RemoveAll("data/index"); err != nil {
		t.Fatal(err)
	}
	furthest := map[string]Progress{}
	o.Progress = func(p Progress) {
		if was := furthest[p.Stage]; p.Done < was.Done || p.Done > p.Total {
			t.Errorf("%+v after %+v", p, was)
		}
		furthest[p.Stage] = p
	}
	e = open(t, o)
	closeEngine(t, e)
	if p := furthest["replaying the log"]; p.Done < n*size*3/4 || p.Total < n*size {
		t.Errorf("replaying the log: %+v at last", p)
	}
	for _, stage := range []string{checkingLog, "loading definitions and lanes"} {
		if _, ok := furthest[stage]; !ok {
			t.Errorf("%s was not told of: %v", stage, furthest)
		}
	}
}
