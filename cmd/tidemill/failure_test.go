package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
)

// The table of OPERATIONS.md, "When it does not start, and when it stops", has a row for
// each script failure_*.txtar, and the commands fails, ended and warns take from it what
// they want to see.
const failureHeading = "## When it does not start, and when it stops"

// failureRow is | `name` | what is wrong | `text` | status |; the status of what goes on
// is "runs".
type failureRow struct {
	name, text string
	status     exit.Status
	runs       bool
}

var failureLine = regexp.MustCompile("^\\| `([a-z-]+)` \\| [^|]+ \\| `` ?(.+?) ?`` \\| ([a-z]+)(?: \\((\\d+)\\))? \\|$")

// failureRows reads the table.
func failureRows() (rows []failureRow, err error) {
	text, err := os.ReadFile("OPERATIONS.md")
	if err != nil {
		return nil, err
	}
	_, section, found := strings.Cut(string(text), failureHeading+"\n")
	if !found {
		return nil, errors.New("OPERATIONS.md has no section " + failureHeading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		m := failureLine.FindStringSubmatch(line)
		if m == nil {
			return nil, errors.New("OPERATIONS.md: this row has another form: " + line)
		}
		row := failureRow{name: m[1], text: m[2], runs: m[3] == "runs"}
		if !row.runs {
			known, ok := exit.Named(m[3])
			if row.status = known; !ok || strconv.Itoa(int(known)) != m[4] {
				return nil, errors.New("OPERATIONS.md: there is no such status: " + line)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// TestFailureTable: each row of the table has its script, and each script its row.
func TestFailureTable(t *testing.T) {
	rows, err := failureRows()
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, r := range rows {
		documented[r.name] = true
		if _, err := os.Stat(failureScript(r.name)); err != nil {
			t.Errorf("row %s has no script: %v", r.name, err)
		}
	}
	scripts, err := filepath.Glob(failureScript("*"))
	if err != nil || len(scripts) != len(rows) {
		t.Errorf("%d scripts for %d rows, %v", len(scripts), len(rows), err)
	}
	for _, s := range scripts {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(s), "failure_"), ".txtar")
		if !documented[name] {
			t.Errorf("%s has no row in OPERATIONS.md", s)
		}
		text, err := os.ReadFile(s)
		if err != nil || !regexp.MustCompile(`(?m)^(fails|ended|warns) `).Match(text) {
			t.Errorf("%s compares nothing with its row, %v", s, err)
		}
	}
}

func failureScript(name string) string { return "testdata/script/failure_" + name + ".txtar" }

// documentedFailure returns the row of a script.
func documentedFailure(ts *testscript.TestScript) *failureRow {
	rows, err := failureRows()
	ts.Check(err)
	for i := range rows {
		if ts.Name() == "failure_"+rows[i].name {
			return &rows[i]
		}
	}
	ts.Fatalf("OPERATIONS.md has no row for %s", ts.Name())
	return nil
}

// check wants a line of a command's output to be the row's text, in which … stands for
// anything. status is -1 of a server that was stopped.
func (r *failureRow) check(ts *testscript.TestScript, output string, status int) {
	if r.runs != (status == -1) || !r.runs && status != int(r.status) {
		ts.Fatalf("exit status %d, OPERATIONS.md says %d\n%s", status, r.status, output)
	}
	want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(r.text), "…", ".*") + "$")
	for line := range strings.Lines(output) {
		if want.MatchString(saidIn(strings.TrimSpace(line))) {
			return
		}
	}
	ts.Fatalf("no line reads %s\n%s", r.text, output)
}

// saidIn is what a line of a command or of a server's log says.
func saidIn(line string) string {
	var entry struct{ Msg string }
	if json.Unmarshal([]byte(line), &entry) == nil {
		return entry.Msg
	}
	return strings.TrimPrefix(line, "tidemill: ")
}

func failsAsDocumented(ts *testscript.TestScript, neg bool, args []string) {
	row := documentedFailure(ts)
	err := ts.Exec(args[0], args[1:]...)
	failed, ok := errors.AsType[*exec.ExitError](err)
	if neg || !ok {
		ts.Fatalf("it does not fail: %v", err)
	}
	row.check(ts, ts.ReadFile("stderr"), failed.ExitCode())
}

// writesAtAnotherTime makes a data directory that was written when the clock showed
// something else.
func writesAtAnotherTime(ts *testscript.TestScript, neg bool, args []string) {
	away, err := time.ParseDuration(args[1])
	ts.Check(err)
	e, err := engine.Open(engine.Options{
		Dir: ts.MkAbs(args[0]), Wire: nobody{}, SegmentSize: 8 << 20, MemtableSize: 1 << 20,
		Wall: func() time.Time { return time.Now().Add(away) },
	})
	ts.Check(err)
	ts.Check(e.Bootstrap([]engine.Account{{ID: 1, Name: "user1", Token: "token", Keys: engine.Keys{Current: "a", Next: "b"}}}))
	_, err = e.Publish(&engine.Publish{User: 1, URL: "http://d.example/"})
	ts.Check(err)
	ts.Check(e.Shutdown(context.Background()))
}

// nobody answers every attempt at once.
type nobody struct{}

func (nobody) Do(_ *dispatch.Attempt, r *dispatch.Result) { *r = dispatch.Result{Status: 200} }
