package record

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden records of this format version")

const (
	goldenPath  = "testdata/v2"
	goldenUsage = "if the format is meant to change, follow FORMAT.md's recipe; " +
		"records of a version that was never released are written again by: go test ./engine/record -run TestGolden -update"
)

// golden returns the bytes of a golden file, writing want first under -update.
func golden(t *testing.T, name string, want []byte) []byte {
	t.Helper()
	path := filepath.Join(goldenPath, name+".bin")
	if *update {
		if err := os.MkdirAll(goldenPath, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, goldenUsage)
	}
	return p
}

// TestGolden: what this version writes is what it always wrote.
func TestGolden(t *testing.T) {
	m, o, u, d, v := sample(), sampleOutcome(), sampleUser(), sampleDrop(), sampleMove()
	for name, v := range map[string]appender{"message": &m, "outcome": &o, "user": &u, "dropdead": &d, "move": &v} {
		p := golden(t, name, v.Append(nil))
		if now := v.Append(nil); !bytes.Equal(p, now) {
			t.Errorf("%s\n is  %x\n was %x\n%s", name, now, p, goldenUsage)
		}
		checkGolden(t, name, p, v)
	}
}

// TestGoldenV1: what version 1 wrote is read for ever. It did not say what the end
// of a dead letter frees.
func TestGoldenV1(t *testing.T) {
	m, o, u, d := sample(), sampleOutcome(), sampleUser(), sampleDrop()
	m.FromDead.Freed, d.Freed = Freed{}, Freed{}
	for name, v := range map[string]appender{"message": &m, "outcome": &o, "user": &u, "dropdead": &d} {
		p, err := os.ReadFile(filepath.Join("testdata/v1", name+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		checkGolden(t, name, p, v)
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
	p, err := os.ReadFile("testdata/v1/message-zstd.bin")
	if err != nil {
		t.Fatal(err)
	}
	var got Message
	if err := DecodeMessage(p, &got); err != nil {
		t.Fatal(err)
	}
	body, err := got.OpenBody(nil)
	if err != nil || !bytes.Equal(body, want) || got.Flags != FlagZstd {
		t.Fatalf("flags %d, %d bytes, %v\n%s", got.Flags, len(body), err, goldenUsage)
	}
}
