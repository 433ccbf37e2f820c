package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

var updateHandbook = flag.Bool("update", false, "write the generated tables of OPERATIONS.md")

// TestHandbook: the tables of commands and of exit statuses in the handbook are those of the
// program. `go test ./cmd/tidemill -run TestHandbook -update` writes them.
func TestHandbook(t *testing.T) {
	const file = "OPERATIONS.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, table := range map[string]string{"commands": commandTable(), "exit statuses": statusTable()} {
		begin, end := "<!-- "+name+": written by TestHandbook -update -->\n", "<!-- end of "+name+" -->"
		head, rest, ok := strings.Cut(text, begin)
		old, tail, whole := strings.Cut(rest, end)
		switch {
		case !ok || !whole:
			t.Errorf("%s has no place for the table of %s:\n%s%s", file, name, begin, end)
		case old != table && *updateHandbook:
			text = head + begin + table + end + tail
		case old != table:
			t.Errorf("%s: the table of %s is not the program's: run go test ./cmd/tidemill -run TestHandbook -update\ngot\n%swant\n%s", file, name, old, table)
		}
	}
	if *updateHandbook {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func commandTable() string {
	var b strings.Builder
	b.WriteString("| command | what it does |\n| --- | --- |\n")
	for _, c := range newRoot(nil).Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(&b, "| `%s` | %s |\n", c.Name(), c.Short)
		}
	}
	return b.String()
}

func statusTable() string {
	var b strings.Builder
	b.WriteString("| status | name | meaning |\n| --- | --- | --- |\n")
	for _, s := range exit.Statuses {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", s.Status, s.Name, s.Meaning)
	}
	return b.String()
}
