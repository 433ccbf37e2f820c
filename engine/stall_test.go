package engine

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// stallFS is a disk whose syncs of the log can be made to wait.
type stallFS struct {
	vfs.FS
	mu      sync.Mutex
	gate    chan struct{} // nil: syncs are done at once
	waiting chan struct{} // cap 1: a sync waits
}

func (f *stallFS) stop() (release func()) {
	gate := make(chan struct{})
	f.set(gate)
	return sync.OnceFunc(func() {
		f.set(nil)
		close(gate)
	})
}

func (f *stallFS) set(gate chan struct{}) {
	f.mu.Lock()
	f.gate = gate
	f.mu.Unlock()
}

func (f *stallFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, opts...)
	if err != nil || path.Base(path.Dir(name)) != "log" {
		return file, err
	}
	return &stallFile{file, f}, nil
}

type stallFile struct {
	vfs.File
	fs *stallFS
}

func (f *stallFile) SyncData() error {
	f.fs.mu.Lock()
	gate := f.fs.gate
	f.fs.mu.Unlock()
	if gate != nil {
		select {
		case f.fs.waiting <- struct{}{}:
		default:
		}
		<-gate
	}
	return f.File.SyncData()
}

// TestDiskStall is P13: a sync that hangs. Publishes are answered, with what is
// known of them; what was durable is delivered meanwhile; when the disk goes on, so
// does everything else, and what was in doubt is there, once.
func TestDiskStall(t *testing.T) {
	disk := &stallFS{FS: powerfs.New(), waiting: make(chan struct{}, 1)}
	w := newFakeWire()
	o := testOptions(disk, w)
	o.stallAfter = 30 * time.Millisecond
	e := open(t, o)
	publish(t, e, Publish{Delay: 200 * time.Millisecond, Body: []byte("known")})
	release := disk.stop()
	defer release()

	const n = 8
	body := func(i int) Publish {
		return Publish{User: 1, URL: "http://example.com/", Body: fmt.Appendf(nil, "%d", i), DedupID: fmt.Sprint(i)}
	}
	var wg sync.WaitGroup
	var outcomes [n]error
	for i := range n {
		wg.Go(func() {
			p := body(i)
			_, outcomes[i] = e.Publish(&p)
		})
	}
	var rotated error
	wg.Go(func() { _, rotated = e.RotateKeys(1) })
	<-disk.waiting
	eventually(t, func() bool { return errors.Is(e.Ready(), ErrStalled) })
	if _, err := e.Publish(&Publish{User: 1, URL: "http://example.com/"}); !errors.Is(err, ErrStalled) ||
		!strings.Contains(err.Error(), "nothing was stored") {
		t.Errorf("a publish during the stall: %v", err)
	}
	if got := w.next(t); string(got.body) != "known" {
		t.Errorf("delivered during the stall: %q", got.body)
	}
	release()
	wg.Wait()

	for i, err := range outcomes {
		if err != nil && !errors.Is(err, ErrStalled) {
			t.Errorf("publish %d: %v", i, err)
		}
		stored := err == nil || strings.Contains(err.Error(), "unknown")
		var again Receipt
		eventually(t, func() bool {
			p := body(i)
			again, err = e.Publish(&p)
			return !errors.Is(err, ErrStalled)
		})
		if err != nil || again.Deduplicated != stored {
			t.Errorf("publish %d ended with %v, the same again with %+v, %v", i, outcomes[i], again, err)
		}
	}
	seen := map[string]int{}
	for range n {
		seen[string(w.next(t).body)]++
	}
	if len(seen) != n || len(w.arrive) > 0 {
		t.Errorf("delivered %v and %d more", seen, len(w.arrive))
	}
	if err := e.Ready(); err != nil {
		t.Errorf("ready afterwards: %v", err)
	}

	// Definitions are never in doubt: memory says what the log says.
	if rotated != nil && rotated != errRefusedByStall {
		t.Errorf("rotating keys: %v", rotated)
	}
	before, _ := e.Keys(1)
	closeEngine(t, e)
	e = open(t, o)
	if after, err := e.Keys(1); err != nil || after != before || (after.Current == testAccount.Keys.Next) != (rotated == nil) {
		t.Errorf("keys %v before and %v after a restart, %v; the rotation: %v", before, after, err, rotated)
	}
}

// TestClaimInDoubt: a dead letter whose retry or delete is in doubt stays claimed
// until the index shows the outcome; one whose record failed can be claimed again.
func TestClaimInDoubt(t *testing.T) {
	k := claim{1, 17}
	for _, tt := range []struct {
		lsn  uint64
		err  error
		free bool
	}{
		{30, nil, false},
		{30, errInDoubt, false},
		{0, errRefusedByStall, true},
		{0, ErrClosed, true},
		{30, ErrLogFailed, true},
	} {
		var c claims
		c.init()
		c.take(k, nil)
		c.settle(k, tt.lsn, tt.err)
		if got := c.take(k, nil); got != tt.free {
			t.Errorf("record at %d, %v: free %v, want %v", tt.lsn, tt.err, got, tt.free)
		}
		if c.applied(31); !tt.free && !c.take(k, nil) {
			t.Errorf("record at %d, %v: not free when applied", tt.lsn, tt.err)
		}
	}
}
