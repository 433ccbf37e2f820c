package httpapi

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// TestEverySentinelIsMapped reads the engine's source, so that a sentinel that
// is added there fails here until the table knows it.
func TestEverySentinelIsMapped(t *testing.T) {
	mapped := map[string]error{
		"ErrNotFound": engine.ErrNotFound, "ErrOverloaded": engine.ErrOverloaded, "ErrDiskFull": engine.ErrDiskFull, "ErrLogFailed": engine.ErrLogFailed,
		"ErrClosed": engine.ErrClosed, "ErrStalled": engine.ErrStalled, "ErrTooLarge": engine.ErrTooLarge, "ErrDamaged": engine.ErrDamaged, "ErrLocked": engine.ErrLocked,
		"ErrLeaseLost": engine.ErrLeaseLost, "ErrPushQueue": engine.ErrPushQueue,
	}
	names := exportedErrors(t, "../engine")
	if len(names) < len(mapped) {
		t.Fatalf("found only %v in the engine", names)
	}
	for _, name := range names {
		err, ok := mapped[name]
		if name == "ErrBackupRunning" {
			continue // the admin listener's: no request of the API meets it
		}
		if !ok {
			t.Errorf("engine.%s has no row here: map it in errors.go and name it in this test", name)
			continue
		}
		f := failureOf(fmt.Errorf("wrapped: %w", err))
		if f == nil || f.status < 400 || f.text == "" {
			t.Errorf("engine.%s has no answer: %+v", name, f)
		}
	}
	if f := failureOf(errors.New("strange")); f != nil {
		t.Errorf("an unknown error is answered with %+v", f)
	}
}

func exportedErrors(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
				names = append(names, errorNames(d)...)
			}
		}
	}
	return names
}

func errorNames(d *ast.GenDecl) (names []string) {
	for _, spec := range d.Specs {
		for _, id := range spec.(*ast.ValueSpec).Names {
			if strings.HasPrefix(id.Name, "Err") {
				names = append(names, id.Name)
			}
		}
	}
	return names
}
