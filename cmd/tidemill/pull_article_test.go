package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestArticlePrograms drives the built server with programs that do what those of an
// article about the queue API do, in Python and nothing but its standard library
// (QUEUES.md B.9). The suite is in testdata/pull.
func TestArticlePrograms(t *testing.T) {
	builtBinary(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 is not installed: in CI the article's programs must run")
		}
		t.Skip("\n\n*** THE ARTICLE'S PROGRAMS DID NOT RUN: python3 is not installed ***\n")
	}
	p := start(t, "dev", "--port", "0")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-B", "-m", "unittest", "-v", "test_article")
	cmd.Dir = filepath.Join("testdata", "pull")
	cmd.Env = cleanEnv("TIDEMILL_TEST_URL="+p.url(), "QSTASH_TOKEN="+devUsers[0].Token)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), p.output())
	}
	ran := regexp.MustCompile(`(?m)^Ran \d+ tests.*\n\nOK$`).FindString(out.String())
	if ran == "" {
		t.Errorf("some of the suite did not run:\n%s", out.String())
	}
	t.Log(ran)
	p.stop(t)
}
