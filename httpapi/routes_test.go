package httpapi

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// routeNames reads the names of all routes out of the source, so that one that is added
// cannot be left out.
func routeNames(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		ast.Inspect(parse(t, file), func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok {
				names = append(names, routeName(t, lit)...)
			}
			return true
		})
	}
	slices.Sort(names)
	if twice := len(names) - len(slices.Compact(slices.Clone(names))); len(names) < 30 || twice > 0 {
		t.Fatalf("%d routes, %d with the name of another", len(names), twice)
	}
	return names
}

// routeName returns the name in the literal of a route: it has a name and a handler.
func routeName(t *testing.T, lit *ast.CompositeLit) []string {
	var name string
	serves := false
	for _, elt := range lit.Elts {
		kv, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, _ := kv.Key.(*ast.Ident)
		text, isText := kv.Value.(*ast.BasicLit)
		switch {
		case key == nil:
		case key.Name == "serve":
			serves = true
		case key.Name == "name" && isText && text.Kind == token.STRING:
			var err error
			if name, err = strconv.Unquote(text.Value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !serves || name == "" {
		return nil
	}
	return []string{name}
}
