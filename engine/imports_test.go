package engine

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tidemill/tidemill/"

// TestImports keeps ARCHITECTURE.md's table true: leaves are strangers to each
// other and imports point one way.
func TestImports(t *testing.T) {
	allowed := map[string][]string{
		"wal":           {"wal/histogram"},
		"wal/powerfs":   {},
		"wal/histogram": {},
		"timerwheel":    {},
		"dispatch":      {},
		"bench":         {},
		"engine/record": {},
		"engine/delay":  {},
		"engine/plant":  {},
		"engine/index":  {"engine/record", "engine/plant"},
		"engine":        {"wal", "timerwheel", "dispatch", "engine/record", "engine/cron", "engine/delay", "engine/index", "engine/plant", "wal/histogram"},
		"httpapi/ui":    {},
		"httpapi":       {"engine", "engine/record", "engine/delay", "engine/cron", "httpapi/ui", "wal/histogram"},
	}
	for pkg, want := range allowed {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, module+pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list %s: %v\n%s", pkg, err, out)
		}
		for _, imp := range strings.Fields(string(out)) {
			if rest, ours := strings.CutPrefix(imp, module); ours && !slices.Contains(want, rest) {
				t.Errorf("%s imports %s; allowed are %v", pkg, rest, want)
			}
		}
	}
}
