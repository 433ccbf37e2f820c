package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestJSClient drives the built server with the official client, @upstash/qstash,
// in the version that testdata/js locks. The suite is for Node's test runner.
func TestJSClient(t *testing.T) {
	builtBinary(t)
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node and npm are not installed: in CI the client suite must run")
		}
		t.Skip("\n\n*** THE JAVASCRIPT CLIENT SUITE DID NOT RUN: node and npm are not installed ***\n")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "js"))); err != nil {
		t.Fatal(err)
	}
	node(t, dir, nil, "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund")

	p := start(t, "dev", "--port", "0")
	files, err := filepath.Glob(filepath.Join(dir, "*.test.mjs"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no suite in %s: %v", dir, err)
	}
	url, check := checkedURL(t, p)
	out := node(t, dir, []string{"TIDEMILL_TEST_URL=" + url, "UPSTASH_DISABLE_TELEMETRY=1"},
		"node", append([]string{"--test", "--test-reporter=tap"}, files...)...)
	t.Logf("%s, %d exchanges", strings.Join(tapSummary.FindAllString(out, -1), ", "), check())
	if !regexp.MustCompile(`(?m)^# skipped 0$`).MatchString(out) || regexp.MustCompile(`(?m)^# tests 0$`).MatchString(out) {
		t.Errorf("some of the suite did not run:\n%s", out)
	}
	p.stop(t)
}

var tapSummary = regexp.MustCompile(`(?m)^# (tests|pass|fail|skipped) \d+$`)

// node runs a command of Node's and returns its output; failing is fatal.
func node(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, cleanEnv(env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}
