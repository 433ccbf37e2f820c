package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// backupBook is what the producers and the destination know (P14).
type backupBook struct {
	mu        sync.Mutex
	acked     map[string]bool // bodies of publishes that were answered
	delivered map[string]bool // bodies that the destination got
}

func (b *backupBook) note(m map[string]bool, body string) {
	b.mu.Lock()
	m[body] = true
	b.mu.Unlock()
}

func (b *backupBook) copyOf(m map[string]bool) map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]bool, len(m))
	for k := range m {
		out[k] = true
	}
	return out
}

// sealed is a body that tells whether it is one of ours.
func sealedBody(n int) string {
	s := fmt.Sprintf("%08d %s", n, strings.Repeat("x", n%700))
	return fmt.Sprintf("%s %08x", s, crc32.ChecksumIEEE([]byte(s)))
}

func isSealed(body string) bool {
	i := strings.LastIndexByte(body, ' ')
	return i > 0 && body[i+1:] == fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body[:i])))
}

// TestBackupUnderLoad is P14: backups in a loop while messages are published and
// delivered. In each of them, restored, is every message that was answered before
// it began, unless it was delivered before it ended; and none that had ended before
// it began, and none with another content. TIDEMILL_BACKUPS says how many.
func TestBackupUnderLoad(t *testing.T) {
	rounds := backups
	if n, err := strconv.Atoi(os.Getenv("TIDEMILL_BACKUPS")); err == nil {
		rounds = n
	}
	fs, w := powerfs.New(), newFakeWire()
	o := testOptions(fs, w)
	o.SegmentSize, o.MessageMax, o.ResponseMax = 512<<10, 8<<10, 8<<10
	e := open(t, o)
	book := &backupBook{acked: map[string]bool{}, delivered: map[string]bool{}}
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for {
			select {
			case a := <-w.arrive:
				book.note(book.delivered, string(a.body))
			case <-stop:
				return
			}
		}
	})
	for p := range 3 {
		load.Go(func() { produce(t, e, book, p, stop) })
	}
	checked := 0
	for i := range rounds {
		if i%3 == 2 {
			if err := e.idx.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		before := book.copyOf(book.acked)
		ended := endedIn(t, e, before)
		var b bytes.Buffer
		if err := e.Backup(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		pending := restoredBodies(t, o, &b)
		delivered := book.copyOf(book.delivered) // after the restore: arrivals are noted late
		for body := range before {
			if !pending[body] && !delivered[body] {
				t.Fatalf("backup %d lacks a message that was answered before: %.8s", i, body)
			}
			if pending[body] && ended[body] {
				t.Fatalf("backup %d brings back a message that had ended: %.8s", i, body)
			}
		}
		checked += len(before)
	}
	close(stop)
	load.Wait()
	t.Logf("%d backups, %d messages looked for", rounds, checked)
}

// produce publishes messages of which half are due at once.
func produce(t *testing.T, e *Engine, book *backupBook, p int, stop chan struct{}) {
	for n := p; n < 9000; n += 3 { // the checks grow with it
		select {
		case <-stop:
			return
		default:
		}
		m := Publish{User: 1, URL: "http://example.com/", Body: []byte(sealedBody(n)), Delay: time.Duration(n%2) * time.Hour}
		switch _, err := e.Publish(&m); {
		case err == nil:
			book.note(book.acked, string(m.Body))
		case !errors.Is(err, ErrOverloaded):
			t.Error(err)
			return
		}
		time.Sleep(100 * time.Microsecond) // load, not a measurement
	}
}

// endedIn returns those of the bodies whose messages are no longer pending.
func endedIn(t *testing.T, e *Engine, bodies map[string]bool) map[string]bool {
	t.Helper()
	if err := e.catchUp(); err != nil {
		t.Fatal(err)
	}
	pending := pendingBodies(t, e)
	out := map[string]bool{}
	for body := range bodies {
		if !pending[body] {
			out[body] = true
		}
	}
	return out
}

func pendingBodies(t *testing.T, e *Engine) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := e.idx.Pending(func(r *record.Row) error {
		var m Message
		if err := e.readMessage(r, &m); err != nil {
			return err
		}
		if !isSealed(string(m.Body)) || m.URL != "http://example.com/" {
			return fmt.Errorf("a wrong message: %q to %q", m.Body, m.URL)
		}
		out[string(m.Body)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// restoredBodies restores a backup on a disk of its own, cuts the power, and opens
// it without delivering.
func restoredBodies(t *testing.T, o Options, b io.Reader) map[string]bool {
	t.Helper()
	disk := powerfs.New()
	if _, err := Restore(disk, "data", b); err != nil {
		t.Fatal(err)
	}
	o.FS, o.manual = disk.Cut(1, 50, 512), true
	o.withDefaults()
	e, err := recoverEngine(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.closeFiles(); err != nil {
			t.Fatal(err)
		}
	}()
	return pendingBodies(t, e)
}

// TestRestoreIsAllOrNothing: whatever fails, at whatever operation, there is no
// data directory; a cut power leaves none that a server takes for one.
func TestRestoreIsAllOrNothing(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	publish(t, e, Publish{Delay: time.Hour, Body: []byte("body")})
	var b bytes.Buffer
	if err := e.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("injected")
	for n, done := 1, false; !done; n++ {
		disk, ops := powerfs.New(), 0
		disk.SetFault(func(string, string) error {
			if ops++; ops == n {
				return failed
			}
			return nil
		})
		_, err := Restore(disk, "data", bytes.NewReader(b.Bytes()))
		done = ops < n
		disk.SetFault(nil)
		if left, _ := disk.List("data"); err != nil && len(left) > 0 || done && err != nil {
			t.Fatalf("operation %d fails: %v, and leaves %v", n, err, left)
		}
		cut := disk.Cut(uint64(n), 50, 512)
		if _, err := OpenOffline(cut, "data"); err == nil {
			off, _ := OpenOffline(cut, "data")
			if rep, unknown, err := off.Verify(); err != nil || unknown != nil || len(rep.Damages) > 0 {
				t.Fatalf("operation %d failed, and a power cut left a directory that is not whole: %v, %v, %+v", n, err, unknown, rep)
			}
		} else if done {
			t.Fatal(err)
		}
	}
}

func TestBackupEnds(t *testing.T) {
	fs := vfs.NewMem()
	e := open(t, testOptions(fs, newFakeWire()))
	publish(t, e, Publish{Delay: time.Hour, Body: []byte("body")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Backup(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	again := func([]byte) (int, error) { return 0, e.Backup(t.Context(), io.Discard) }
	if err := e.Backup(t.Context(), writerFunc(again)); !errors.Is(err, ErrBackupRunning) {
		t.Errorf("a second backup: %v", err)
	}
	if _, err := fs.Stat("data/backup.tmp"); err == nil {
		t.Error("backup.tmp is still there")
	}
	closeEngine(t, e)
	if err := e.Backup(t.Context(), io.Discard); !errors.Is(err, ErrClosed) {
		t.Errorf("after shutdown: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
