package engine

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestOpenRefuses(t *testing.T) {
	put := func(fs vfs.FS, name, content string) {
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = io.WriteString(f, content)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for want, prepare := range map[string]func(fs vfs.FS){
		`holds "letters.txt" and no VERSION`: func(fs vfs.FS) { put(fs, "data/letters.txt", "dear") },
		`has layout version "2", this server reads "1": another version of the server wrote it: use a server of that version`: func(fs vfs.FS) { put(fs, "data/VERSION", "2\n") },
	} {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("data", 0o700); err != nil {
			t.Fatal(err)
		}
		prepare(fs)
		if _, err := Open(testOptions(fs, newFakeWire())); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestOpenRefusesALockedDirectory(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	open(t, o)
	if _, err := Open(o); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: %v", err)
	}
}

// TestIndexIsRebuilt is P10: with the index removed, messages, dead letters and
// accounts come back from the log.
func TestIndexIsRebuilt(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, newFakeWire())
	e := open(t, o)
	id := publish(t, e, Publish{Delay: 1e12, Body: []byte("kept")})
	if _, err := e.RotateKeys(1); err != nil {
		t.Fatal(err)
	}
	want, _ := e.Keys(1)
	closeEngine(t, e)
	if err := fs.RemoveAll("data/index"); err != nil {
		t.Fatal(err)
	}
	e = open(t, o)
	if m, err := e.Message(1, id); err != nil || string(m.Body) != "kept" {
		t.Errorf("%+v %v", m, err)
	}
	if got, err := e.Keys(1); got != want || err != nil {
		t.Errorf("keys %v %v", got, err)
	}
}
