package engine

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestScrub: damage in a full segment is found, told once and kept in Health, and
// the server runs on; so is a message that a delivery found damaged.
func TestScrub(t *testing.T) {
	fs, w := vfs.NewMem(), newFakeWire()
	o := testOptions(fs, w)
	o.scrubRest, o.noRecent = time.Millisecond, true
	e := open(t, o)
	publish(t, e, Publish{Delay: time.Hour, Body: []byte("in-the-first-segment")})
	closeEngine(t, e)
	e = open(t, o) // the log goes on in a second segment
	damage(t, fs, "in-the-first-segment")
	eventually(t, func() bool { return e.Health().DamagedRanges > 0 })
	for range 3 { // passes
		if err := e.scrubPass(); err != nil {
			t.Fatal(err)
		}
	}
	h := e.Health()
	if len(h.Damaged) != 1 || h.DamagedRanges != 1 || h.Damaged[0].Lost != 1 || h.Damaged[0].Segment == "" || h.DamagedMessages != 0 {
		t.Errorf("%+v", h)
	}
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
	publish(t, e, Publish{Body: []byte("still delivered")})
	w.next(t)

	publish(t, e, Publish{Delay: 100 * time.Millisecond, Body: []byte("found-by-its-delivery")})
	damage(t, fs, "found-by-its-delivery")
	eventually(t, func() bool { return e.Health().DamagedMessages == 1 })
}

// TestScrubLeavesASoundLogAlone: beside publishes and rotations nothing is taken
// for damage.
func TestScrubLeavesASoundLogAlone(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.SegmentSize, o.MessageMax, o.ResponseMax, o.ScrubRate = 640<<10, 64<<10, 64<<10, 1<<40
	o.scrubRest = time.Microsecond
	e := open(t, o)
	body := make([]byte, 60<<10)
	for range 60 {
		publish(t, e, Publish{Delay: time.Hour, Body: body})
	}
	if err := e.scrubPass(); err != nil {
		t.Fatal(err)
	}
	if h := e.Health(); h.DamagedRanges > 0 {
		t.Errorf("%+v", h)
	}
}

// TestScrubPace: at 1 B/s a pass does not end, but Shutdown does.
func TestScrubPace(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, newFakeWire())
	e := open(t, o)
	closeEngine(t, e)
	o.ScrubRate = 1
	e = open(t, o)
	ended := make(chan error, 1)
	go func() { ended <- e.scrubPass() }()
	closeEngine(t, e)
	if err := <-ended; err != ErrClosed {
		t.Errorf("a pass that was cut short ended with %v", err)
	}
}
