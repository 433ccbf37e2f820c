package engine

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestFirstSyncErrorIsFinal is W8: when a sync of the log fails, its publish and
// every later one fail, no attempt starts, the process is told once; and after a
// restart what was acked before is there.
func TestFirstSyncErrorIsFinal(t *testing.T) {
	disk := powerfs.New()
	var broken atomic.Bool
	disk.Fault = func(op, name string) error {
		if broken.Load() && op == "SyncData" && strings.HasSuffix(name, ".seg") {
			return errors.New("input/output error")
		}
		return nil
	}
	told := make(chan error, 4)
	w := newFakeWire()
	o := testOptions(disk, w)
	o.OnFatal = func(err error) { told <- err }
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		t.Fatal(err)
	}
	kept := publish(t, e, Publish{Delay: time.Hour, Body: []byte("kept")})
	broken.Store(true)
	for range 3 {
		if _, err := e.Publish(&Publish{User: 1, URL: "http://example.com/"}); !errors.Is(err, ErrLogFailed) {
			t.Errorf("publish on a broken disk: %v", err)
		}
	}
	if err := <-told; !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("the process was told: %v", err)
	}
	if err := e.Ready(); !errors.Is(err, ErrLogFailed) {
		t.Errorf("ready: %v", err)
	}
	if err := e.Cancel(1, kept); !errors.Is(err, ErrLogFailed) {
		t.Errorf("cancel: %v", err)
	}
	if _, err := e.Message(1, kept); err != nil {
		t.Errorf("reads do not go on: %v", err)
	}
	closeEngine(t, e)
	if len(told) > 0 || len(w.arrive) > 0 {
		t.Errorf("told %d times more, %d attempts made", len(told), len(w.arrive))
	}
	broken.Store(false)
	o.FS = disk.Cut(1, 0, 512)
	e = open(t, o)
	if m, err := e.Message(1, kept); err != nil || string(m.Body) != "kept" {
		t.Errorf("after the restart: %+v %v", m, err)
	}
}

// hangingLog is a handler of log lines whose disk hangs: an error's line never ends.
type hangingLog struct {
	slog.Handler
	gate chan struct{}
}

func (h hangingLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (h hangingLog) Handle(context.Context, slog.Record) error {
	<-h.gate
	return nil
}

// TestPoisonIsToldBeforeItIsLogged: the process must end within a second (W8), also
// when what it logs to hangs like the disk that failed.
func TestPoisonIsToldBeforeItIsLogged(t *testing.T) {
	disk := powerfs.New()
	told, gate := make(chan error, 1), make(chan struct{})
	o := testOptions(disk, newFakeWire())
	o.Logger = slog.New(hangingLog{slog.DiscardHandler, gate})
	o.OnFatal = func(err error) { told <- err }
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		t.Fatal(err)
	}
	disk.SetFault(func(op, name string) error {
		if op == "SyncData" && strings.HasSuffix(name, ".seg") {
			return errors.New("input/output error")
		}
		return nil
	})
	published := make(chan error)
	go func() {
		_, err := e.Publish(&Publish{User: 1, URL: "http://example.com/"})
		published <- err
	}()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("the process is not told before the line is written")
	}
	close(gate)
	if err := <-published; !errors.Is(err, ErrLogFailed) {
		t.Errorf("publish: %v", err)
	}
	closeEngine(t, e)
}
