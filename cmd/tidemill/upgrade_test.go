package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// goldens are data directories as earlier versions left them. What is in them is compared
// in engine.TestGoldenDirectory.
const goldens = "../../engine/testdata"

// TestUpgrade: a server of this version starts on the directory of each earlier one, with
// nothing else done, and answers with the accounts and dead letters that are there.
func TestUpgrade(t *testing.T) {
	builtBinary(t)
	dirs, err := filepath.Glob(goldens + "/v*")
	if err != nil || len(dirs) < 5 {
		t.Fatalf("goldens %v, %v", dirs, err)
	}
	for _, golden := range dirs {
		t.Run(filepath.Base(golden), func(t *testing.T) {
			var want struct {
				Dead []struct{ DLQID, URL string }
			}
			stored, err := os.ReadFile(filepath.Join(golden, "want.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(stored, &want); err != nil || len(want.Dead) == 0 {
				t.Fatalf("%d dead letters, %v", len(want.Dead), err)
			}
			dir := filepath.Join(t.TempDir(), "data")
			unpackTo(t, filepath.Join(golden, "data.tar.gz"), dir)
			p := start(t, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "off", "--retention.dlq", "0", "--message.max-size", "128KiB", "--response.max-size", "64KiB")
			for _, l := range want.Dead {
				status, answer := call(t, "GET", p.url()+"/v2/dlq/"+l.DLQID, "golden_token_1", "")
				if status != 200 {
					t.Errorf("dead letter %s: %d %s", l.DLQID, status, answer)
				}
			}
			p.stop(t)
			runTidemill(t, "wal", "verify", "--data", dir)
		})
	}
}

// unpackTo unpacks a compressed tar of files.
func unpackTo(t *testing.T, from, dir string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, h.Name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
