package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of settings into OPERATIONS.md")

const (
	operations = "../../tidemill/OPERATIONS.md"
	tableBegin = "<!-- settings: written by `go test ./cmd/internal/config -run TestOperations -update` -->\n"
	tableEnd   = "<!-- end of settings -->\n"
)

// TestOperations: the table in the operator's handbook is the one in the code.
func TestOperations(t *testing.T) {
	b, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), tableBegin)
	old, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("OPERATIONS.md has no place for the table: it needs %q and %q", tableBegin, tableEnd)
	}
	want := markdown()
	if *update {
		if err := os.WriteFile(operations, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != want {
		t.Errorf("the table of settings is not that of the code: run the test with -update. It should be\n%s", want)
	}
}

// markdown is the table of all settings.
func markdown() string {
	var b strings.Builder
	b.WriteString("| Setting | Default | Reload | Meaning |\n| --- | --- | --- | --- |\n")
	dev := DevDefault().Settings()
	for i, s := range Default().Settings() {
		value := code(s.Value.String())
		if d := code(dev[i].Value.String()); d != value {
			value += " (dev: " + d + ")"
		}
		reload := ""
		if s.Reload {
			reload = "yes"
		}
		if s.Secret() {
			s.Usage += " (secret)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, value, reload, strings.ReplaceAll(s.Usage, "|", `\|`))
	}
	return b.String()
}

func code(text string) string {
	if text == "" {
		return "none"
	}
	return "`" + text + "`"
}
