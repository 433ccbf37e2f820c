package record

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden records of this format version")

const (
	goldenPath  = "testdata/v4"
	goldenUsage = "if the format is meant to change, follow FORMAT.md's recipe; " +
		"records of a version that was never released are written again by: go test ./engine/record -run TestGolden -update"
)

// golden returns the bytes of a golden file.
func golden(t *testing.T, path string) []byte {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, goldenUsage)
	}
	return p
}

// TestGolden: what this version writes is what it always wrote.
func TestGolden(t *testing.T) {
	for name, v := range sampleValues() {
		path, now := filepath.Join(goldenPath, name+".bin"), v.Append(nil)
		if *update {
			if err := errors.Join(os.MkdirAll(goldenPath, 0o755), os.WriteFile(path, now, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		checkWritten(t, path, now)
		checkGolden(t, name, golden(t, path), v)
	}
}

func checkWritten(t *testing.T, path string, now []byte) {
	t.Helper()
	if p := golden(t, path); !bytes.Equal(p, now) {
		t.Errorf("%s\n is  %x\n was %x\n%s", path, now, p, goldenUsage)
	}
}

// TestGoldenV3: what version 3 wrote is read for ever, and is what this version writes
// where nothing of version 4 is used: older binaries read that.
func TestGoldenV3(t *testing.T) {
	all := sampleValues()
	for _, later := range []map[string]appender{lineSamples(), tokenSamples()} {
		for name := range later {
			delete(all, name)
		}
	}
	for name := range pullSamples() {
		delete(all, name)
	}
	delete(all, "job")
	for name, v := range all {
		path := filepath.Join("testdata/v3", name+".bin")
		checkWritten(t, path, v.Append(nil))
		checkGolden(t, name, golden(t, path), v)
	}
}

// TestGoldenV2: what version 2 wrote is read for ever, and is what this version writes
// where nothing of version 3 is used: older binaries read that.
func TestGoldenV2(t *testing.T) {
	all := sampleValues()
	for _, name := range []string{"message", "outcome", "user", "dropdead", "move"} {
		path := filepath.Join("testdata/v2", name+".bin")
		checkWritten(t, path, all[name].Append(nil))
		checkGolden(t, name, golden(t, path), all[name])
	}
}

// TestGoldenV1: what version 1 wrote is read for ever. It did not say what the end
// of a dead letter frees.
func TestGoldenV1(t *testing.T) {
	m, o, u, d := sample(), sampleOutcome(), sampleUser(), sampleDrop()
	m.FromDead.Freed, d.Freed = Freed{}, Freed{}
	for name, v := range map[string]appender{"message": &m, "outcome": &o, "user": &u, "dropdead": &d} {
		checkGolden(t, name, golden(t, filepath.Join("testdata/v1", name+".bin")), v)
	}
}

func checkGolden(t *testing.T, name string, p []byte, want appender) {
	t.Helper()
	got, err := decodeAny(p)
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, goldenUsage)
		return
	}
	if !reflect.DeepEqual(normal(got), normal(want)) {
		t.Errorf("%s\n got  %+v\n want %+v\n%s", name, got, want, goldenUsage)
	}
}

// TestGoldenZstd reads a compressed message of version 1. Another version of the
// compressor may write other bytes; it must read these.
func TestGoldenZstd(t *testing.T) {
	want := jsonBody(4 << 10)
	p := golden(t, "testdata/v1/message-zstd.bin")
	var got Message
	if err := DecodeMessage(p, &got); err != nil {
		t.Fatal(err)
	}
	body, err := got.OpenBody(nil)
	if err != nil || !bytes.Equal(body, want) || got.Flags != FlagZstd {
		t.Fatalf("flags %d, %d bytes, %v\n%s", got.Flags, len(body), err, goldenUsage)
	}
}
