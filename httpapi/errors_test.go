package httpapi

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// notOfTheAPI are the engine's errors that no request of the API meets, and who does.
var notOfTheAPI = []string{
	"ErrBackupRunning", // the admin listener
}

// TestEverySentinelIsMapped reads the source of the engine and of the table, so that an
// error that is added there fails here until it has a row.
func TestEverySentinelIsMapped(t *testing.T) {
	declared, mapped := exportedErrors(t, "../engine"), tableRows(t)
	if len(declared) < 10 || len(mapped) < 9 {
		t.Fatalf("found only %v in the engine, %v in the table", declared, mapped)
	}
	for _, name := range declared {
		if !slices.Contains(mapped, name) && !slices.Contains(notOfTheAPI, name) {
			t.Errorf("engine.%s has no row in sentinels", name)
		}
	}
	for _, name := range mapped {
		if !slices.Contains(declared, name) {
			t.Errorf("sentinels has engine.%s, which is not there", name)
		}
	}
	if len(mapped) != len(sentinels) {
		t.Errorf("sentinels has %d rows, of which %d name an error of the engine", len(sentinels), len(mapped))
	}
}

// TestSentinels walks the table. An answer must be an error, say something, and ask to
// come back where that can help; no row may be hidden by one above it.
func TestSentinels(t *testing.T) {
	for i, row := range sentinels {
		f := failureOf(fmt.Errorf("message msg_1: %w, try again", row.is))
		if f == nil || f.status != row.status || f.status < 400 || f.text == "" {
			t.Fatalf("%v: answered with %+v, its row has %d", row.is, f, row.status)
		}
		if want := retriable[f.status]; f.retry != want && !finalFailure(row.is) {
			t.Errorf("%v: status %d with Retry-After %t", row.is, f.status, f.retry)
		}
		for _, above := range sentinels[:i] {
			if errors.Is(row.is, above.is) {
				t.Errorf("%v is never reached: %v comes first", row.is, above.is)
			}
		}
	}
	if f := failureOf(errors.New("strange")); f != nil {
		t.Errorf("an unknown error is answered with %+v", f)
	}
}

// retriable are the statuses after which the same request may succeed.
var retriable = map[int]bool{429: true, 503: true, 507: true}

// finalFailure says which errors of such a status do not pass while this process lives.
func finalFailure(err error) bool {
	for _, final := range []error{engine.ErrLogFailed, engine.ErrLocked, engine.ErrNotData, engine.ErrVersion, engine.ErrIndexDamaged, engine.ErrNoBackup} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// exportedErrors returns the names of the package-level variables that begin with Err.
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
		for _, decl := range parse(t, file).Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
				names = append(names, errorNames(d)...)
			}
		}
	}
	return names
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
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

// tableRows returns the errors that stand behind "is:" in errors.go.
func tableRows(t *testing.T) (names []string) {
	t.Helper()
	ast.Inspect(parse(t, "errors.go"), func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, ok := kv.Key.(*ast.Ident)
		if sel, isSel := kv.Value.(*ast.SelectorExpr); ok && isSel && key.Name == "is" {
			names = append(names, sel.Sel.Name)
		}
		return true
	})
	return names
}

// TestKnownTexts holds the texts of QSTASH.md §1.3, which users' code matches on, word
// for word. Those that only the engine can tell are in TestGroupsEndToEnd.
func TestKnownTexts(t *testing.T) {
	s := start(t, func(o *Options) {
		o.CheckDestination = func(string) error { return errors.New("endpoint resolves to a loopback address: ::1") }
	})
	tests := []struct {
		raw    string
		status int
		text   string
	}{
		{"GET /v2/keys HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer x\r\n\r\n", 401, "unable to authenticate: invalid token"},
		{request("POST /v2/publish/h.test/x"), 400, "invalid destination url: endpoint has invalid scheme, add http:// or https://"},
		{request("POST /v2/schedules/", "Upstash-Cron: * * * * *"), 400, "invalid destination url: endpoint has invalid scheme, add http:// or https://"},
		{request("POST /v2/publish/http://[::1]"), 400, "invalid destination url: endpoint resolves to a loopback address: ::1"},
		{request("POST /v2/publish/"), 400, "a non-empty destination must be provided"},
		{request("POST /v2/publish/http://h", "Upstash-Deduplication-Id: a:b"), 400, "DeduplicationId cannot contain ':'"},
		{request("POST /v2/publish/http://h", "Upstash-Retries: 101"), 412, "quota maxRetries exceeded"},
	}
	for _, tt := range tests {
		a, _ := s.send(t, tt.raw)
		if want := fmt.Sprintf(`{"error":%q}`, tt.text); a.StatusCode != tt.status || a.body != want {
			t.Errorf("%.50q: got  %d %s\nwant %d %s", tt.raw, a.StatusCode, a.body, tt.status, want)
		}
	}
	s.expectNothing(t)
}
