package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// soakChores is what operators and programs do beside publishing: read, scrape, reload and
// back up.
type soakChores struct {
	s       *soak
	reads   atomic.Int64
	scrapes atomic.Int64
	records []string // of each backup
	reloads int
}

func startSoakChores(s *soak) *soakChores {
	c := &soakChores{s: s}
	s.c.load.every(300*time.Millisecond, c.read)
	s.c.load.every(time.Second, func(*rand.Rand) { c.scrape() })
	return c
}

// read makes a request that a dashboard or a program would.
func (c *soakChores) read(rnd *rand.Rand) {
	paths := []string{
		"/v2/logs?count=100", "/v2/logs?state=ERROR", "/v2/dlq", "/v2/queues", "/v2/schedules",
		"/v2/topics", "/v2/flowControl", "/v1/metrics", "/v1/queues", "/v2/keys",
	}
	if c.s.c.try("GET", paths[rnd.IntN(len(paths))], "", nil) {
		c.reads.Add(1)
	}
}

// scrape is Prometheus, which has a listener of its own to ask.
func (c *soakChores) scrape() {
	status, text, err := request(c.s.c.t.Context(), "GET", c.s.admin.Load().(string)+"/metrics", "", "")
	switch {
	case err != nil: // the server is ending
	case status != 200 || !strings.Contains(text, "tidemill_"):
		c.s.c.t.Errorf("a scrape: %d %.200s", status, text)
	default:
		c.scrapes.Add(1)
	}
}

// backup takes a backup of the server under load, restores it into a directory of its own
// and checks that.
func (c *soakChores) backup() {
	dir, err := os.MkdirTemp(c.s.dir, "backup-")
	if err != nil {
		c.s.c.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	backUp(c.s.c.t, c.s.c.proc, filepath.Join(dir, "copy"))
	c.records = append(c.records, restoreTo(c.s.c.t, filepath.Join(dir, "copy"), filepath.Join(dir, "data")))
}

// backUp has a running server write a backup.
func backUp(t testing.TB, p *process, to string) {
	t.Helper()
	runTidemill(t, "backup", "--from", p.admin(), "--to", to)
}

// restoreTo restores a backup into a new directory, and returns the command's words: it
// checks all that it writes.
func restoreTo(t testing.TB, from, to string) string {
	t.Helper()
	return runTidemill(t, "restore", "--from", from, "--data", to)
}

// runTidemill runs a command that must succeed, and returns what it prints.
func runTidemill(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(builtBinary(t), args...)
	cmd.Env = cleanEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("tidemill %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (c *soakChores) report() string {
	return fmt.Sprintf("%d reads, %d scrapes, %d reloads, %d backups under load, each restored and checked", c.reads.Load(), c.scrapes.Load(), c.reloads, len(c.records))
}
