package index

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestCheckpoint (X2): what is durable is read, and is not what is visible.
func TestCheckpoint(t *testing.T) {
	disk := powerfs.New()
	b := &bench{t: t, lsn: 1 << 32}
	b.open(smallOptions(disk))
	defer func() { b.must(b.x.Abandon()) }()
	check := func(when string, want Position) {
		t.Helper()
		if got, err := b.x.Checkpoint(); err != nil || got != want {
			t.Fatalf("%s: checkpoint %+v, %v; want %+v", when, got, err, want)
		}
	}
	check("new", Position{})
	b.publish(record.Message{Lane: 1})
	first := positionAt(b.lsn)
	b.flush()
	if b.x.Applied() != first.LSN {
		t.Fatalf("applied %d, want %d", b.x.Applied(), first.LSN)
	}
	check("applied", Position{})
	b.must(b.x.Flush())
	check("flushed", first)
	b.publish(record.Message{Lane: 1})
	b.flush()
	check("applied again", first)
	if b.x.Applied() == first.LSN {
		t.Fatal("applied did not move")
	}
	left := mustOpen(t, smallOptions(disk.Cut(1, 0, 512)))
	if got := left.Start(); got != first || left.Applied() != first.LSN {
		t.Errorf("a power cut left %+v, applied %d; want %+v", got, left.Applied(), first)
	}
	b.must(left.Close())
	b.must(left.Close()) // twice is allowed
}

// TestCloseFlushes: a clean stop leaves nothing to replay.
func TestCloseFlushes(t *testing.T) {
	disk := powerfs.New()
	b := &bench{t: t, lsn: 1 << 32}
	b.open(smallOptions(disk))
	b.publish(record.Message{Lane: 1})
	b.flush()
	b.must(b.x.Close())
	b.open(smallOptions(disk.Cut(1, 0, 512)))
	if got := b.x.Start(); got != positionAt(b.lsn) {
		t.Errorf("opened at %+v, want %+v", got, positionAt(b.lsn))
	}
	b.must(b.x.Abandon())
	b.must(b.x.Abandon())
}

// TestLayout: the index of another version is refused by name, and closed.
func TestLayout(t *testing.T) {
	p := positionAt(1 << 32)
	v := appendPosition(nil, &p)
	be.PutUint32(v, layout+1)
	o := smallOptions(storePosition(t, v))
	_, err := Open(o)
	le, ok := errors.AsType[*LayoutError](err)
	want := fmt.Sprintf("layout %d, this version reads %d: use the version that wrote it, or remove the index directory", layout+1, layout)
	if !ok || le.Found != layout+1 || !strings.Contains(err.Error(), want) {
		t.Fatalf("layout %d: %v", layout+1, err)
	}
	if _, err := Open(o); err == nil || strings.Contains(err.Error(), "held") {
		t.Fatalf("the refused index was not closed: %v", err)
	}
	if _, err := Open(smallOptions(storePosition(t, v[:31]))); !errors.Is(err, errBadValue) {
		t.Fatalf("a short position: %v", err)
	}
}

// storePosition returns a disk with an index whose position is v.
func storePosition(t *testing.T, v []byte) *powerfs.FS {
	disk := powerfs.New()
	x := mustOpen(t, smallOptions(disk))
	if err := errors.Join(x.db.Set([]byte{kindApplied}, v, pebble.NoSync), x.Close()); err != nil {
		t.Fatal(err)
	}
	return disk
}

// TestLaterPebble: an index of a later Pebble is refused with both formats named, and
// the present one's marker is where the check looks for it.
func TestLaterPebble(t *testing.T) {
	fs := vfs.NewMem()
	o := smallOptions(fs)
	x, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if value, err := atomicfs.ReadMarker(fs, o.Dir, "format-version"); err != nil || value == "" {
		t.Fatalf("no marker of Pebble's format: %q, %v", value, err)
	}
	m, _, err := atomicfs.LocateMarker(fs, o.Dir, "format-version")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Move("999"), m.Close()); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("Pebble format 999, this version reads up to %d: start the version that wrote it", pebble.FormatNewest)
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v, want %q", err, want)
	}
}

// TestKeys pins the layout: another one needs another layout number.
func TestKeys(t *testing.T) {
	hash := [16]byte{15: 0xEE}
	for want, got := range map[string][]byte{
		"d\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xEE": dedupKey(nil, 1, 2, &hash),
		"l\x00\x00\x00\x00\x00\x00\x00\x03": laneKey(nil, 3),
		"m\x00\x00\x00\x00\x00\x00\x01\x04": messageKey(nil, 0x104),
		"p\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x07": pendingKey(nil, 5, 6, 7),
		"q\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x09":                                                 deadKey(nil, 8, 9),
		"u\x00\x00\x00\x0A":   userKey(nil, 10),
		"c\x00\x00\x00\x0Bid": namedKey(nil, kindSchedule, 11, []byte("id")),
		"k\x00\x00\x00\x0Bid": namedKey(nil, kindTick, 11, []byte("id")),
		"f\x00\x00\x00\x0Bid": namedKey(nil, kindFlow, 11, []byte("id")),
		"g\x00\x00\x00\x0Bid": namedKey(nil, kindGroup, 11, []byte("id")),
		"w\x00\x00\x00\x0Bid": namedKey(nil, kindQueue, 11, []byte("id")),
	} {
		if string(got) != want {
			t.Errorf("key %x, want %x", got, want)
		}
	}
}

const fatalChild = "TIDEMILL_INDEX_FATAL_CHILD"

// TestFatal: when Pebble cannot go on, OnFatal is told and the caller does not
// get an answer. It runs in a process of its own, since nothing may return.
func TestFatal(t *testing.T) {
	if os.Getenv(fatalChild) != "" {
		fatal(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFatal$")
	cmd.Env = append(os.Environ(), fatalChild+"=1")
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 3 || !strings.Contains(string(out), "index: ") || !strings.Contains(string(out), "MANIFEST") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fatal breaks the manifest's disk, flushes, and exits with 3 as soon as OnFatal
// is told, with 4 if the flush returns instead.
func fatal(t *testing.T) {
	disk := powerfs.New()
	var broken atomic.Bool
	disk.Fault = func(op, name string) error {
		if broken.Load() && strings.Contains(name, "MANIFEST") && op != "ReadAt" {
			return errors.New("MANIFEST: broken disk")
		}
		return nil
	}
	o := smallOptions(disk)
	o.OnFatal = func(err error) {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(3)
	}
	b := &bench{t: t, lsn: 1 << 32}
	b.open(o)
	b.publish(record.Message{Lane: 1})
	b.flush()
	broken.Store(true)
	err := b.x.Flush()
	_, _ = os.Stdout.WriteString("the flush returned: " + errors.Join(err).Error() + "\n")
	os.Exit(4)
}
