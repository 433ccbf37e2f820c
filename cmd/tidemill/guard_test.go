package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/wal"
)

// TestDowngradeGuard: a directory that a later version wrote, by whichever of its formats,
// is refused with a line that says so, with the status for data, and nothing in it is
// changed: the later version goes on where it was. A record of a later version is found
// only when the log is replayed: then files were opened for writing, and what must be the
// same is the records.
func TestDowngradeGuard(t *testing.T) {
	builtBinary(t)
	made := t.TempDir()
	p := start(t, "serve", "--data", made, "--listen", "127.0.0.1:0", "--admin.listen", "off")
	if status, answer := call(t, "POST", p.url()+"/v2/publish/http://example.com/", readCredentials(t, made).Token, "kept", "Upstash-Delay", "1h"); status != 200 {
		t.Fatalf("publish: %d %s", status, answer)
	}
	p.stop(t)
	for _, later := range []struct {
		what, says string
		make       func(t *testing.T, dir string)
		replayed   bool // it is found in the replay: the records are as they were, no more
	}{
		{"VERSION", `has layout version "2", this server reads "1"`, laterVersion, false},
		{"log header", "has format version 99, this program reads versions up to", laterSegment, false},
		{"index layout", "index: layout 99, this version reads", laterLayout, false},
		{"index format", "Pebble format 999, this version reads up to", laterPebble, false},
		{"record", "type 1 version 99 (another version of the server wrote it)", laterRecord, true},
	} {
		t.Run(later.what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
				t.Fatal(err)
			}
			later.make(t, dir)
			before, records := hashes(t, dir), dumpedRecords(t, dir)
			p := launch(t, nil, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "off")
			if code := p.wait(t); code != int(exit.Data) {
				t.Errorf("exit status %d, want %d\n%s", code, exit.Data, p.output())
			}
			lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
			if last := lines[len(lines)-1]; !strings.Contains(last, later.says) {
				t.Errorf("says %q, want %q in it", last, later.says)
			}
			if later.replayed {
				if after := dumpedRecords(t, dir); after != records {
					t.Errorf("the log was\n%s\nand is\n%s", records, after)
				}
				return
			}
			for name, sum := range hashes(t, dir) {
				if before[name] != sum {
					t.Errorf("%s is another", name)
				}
				delete(before, name)
			}
			for name := range before {
				t.Errorf("%s is gone", name)
			}
		})
	}
}

// hashes returns what each file below a directory holds.
func hashes(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	sums := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		sums[strings.TrimPrefix(path, dir)] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// dumpedRecords lists the records of the log, "" where that is of a later version.
func dumpedRecords(t *testing.T, dir string) (list string) {
	t.Helper()
	d, err := engine.OpenOffline(nil, dir)
	if err != nil {
		return ""
	}
	_ = d.Dump(0, func(d *wal.Dumped) error {
		if d.Kind == "record" {
			list += fmt.Sprintf("%v %x\n", d.LSN, d.Payload)
		}
		return nil
	})
	return list
}

func laterVersion(t *testing.T, dir string) {
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// laterSegment gives the newest segment another format version, with a checksum that fits:
// both keep their places (wal/FORMAT.md).
func laterSegment(t *testing.T, dir string) {
	segments, err := filepath.Glob(filepath.Join(dir, "log", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("segments %v, %v", segments, err)
	}
	name := segments[len(segments)-1]
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const header = 4096
	binary.LittleEndian.PutUint32(b[8:], 99)
	binary.LittleEndian.PutUint32(b[header-4:], crc32.Checksum(b[:header-4], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// laterLayout changes the layout that the index's position names.
func laterLayout(t *testing.T, dir string) {
	db, err := pebble.Open(filepath.Join(dir, "index"), &pebble.Options{Logger: noLog{}})
	if err != nil {
		t.Fatal(err)
	}
	v, closer, err := db.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(v)
	binary.BigEndian.PutUint32(changed, 99)
	if err := errors.Join(closer.Close(), db.Set([]byte("a"), changed, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
}

type noLog struct{ pebble.Logger }

func (noLog) Infof(string, ...any) {}

func laterPebble(t *testing.T, dir string) {
	m, _, err := atomicfs.LocateMarker(vfs.Default, filepath.Join(dir, "index"), "format-version")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Move("999"), m.Close()); err != nil {
		t.Fatal(err)
	}
}

// laterRecord appends a record of a version that there is not.
func laterRecord(t *testing.T, dir string) {
	l, err := wal.Open(wal.Options{FS: vfs.Default, Dir: filepath.Join(dir, "log"), SegmentSize: 64 << 20, MaxRecord: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, 128)
	payload[0], payload[1] = 1, 99 // a message
	if _, err := l.Append(payload); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
