package wirecheck

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Document is an OpenAPI document, ready to be checked against. It is safe for
// concurrent use.
type Document struct {
	spec       *openapi3.T
	operations []*Operation // the more specific path first
	right      shapes
}

// Load reads a document, checks that it is a valid one, and closes the objects that
// answers are made of.
func Load(text []byte) (*Document, error) {
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	closeAnswers(tree)
	strict, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	spec, err := openapi3.NewLoader().LoadFromData(strict)
	if err != nil {
		return nil, err
	}
	if !spec.IsOpenAPI31OrLater() {
		return nil, fmt.Errorf("the document is of OpenAPI %s", spec.OpenAPI)
	}
	if err := spec.Validate(context.Background()); err != nil {
		return nil, err
	}
	d := &Document{spec: spec, right: shapes{seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}}
	d.operations, err = operationsOf(spec)
	return d, err
}

// closeAnswers gives every object schema that an answer can show additionalProperties:
// false, unless it says something of its own about them.
func closeAnswers(tree map[string]any) {
	c := closer{tree: tree, done: map[string]bool{}}
	walk(tree["paths"], func(name string, v any) {
		if name == "responses" {
			c.close(v)
		}
	})
}

type closer struct {
	tree map[string]any
	done map[string]bool // references that were followed
}

func (c *closer) close(v any) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && !c.done[ref] {
			c.done[ref] = true
			c.close(c.resolve(ref))
		}
		_, object := v["properties"].(map[string]any)
		if _, said := v["additionalProperties"]; object && !said {
			v["additionalProperties"] = false
		}
		for _, in := range v {
			c.close(in)
		}
	case []any:
		for _, in := range v {
			c.close(in)
		}
	}
}

func (c *closer) resolve(ref string) any {
	var at any = c.tree
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, _ := at.(map[string]any)
		at = m[part]
	}
	return at
}

// walk calls fn for every member of v and of what is in it.
func walk(v any, fn func(name string, v any)) {
	switch v := v.(type) {
	case map[string]any:
		for name, in := range v {
			fn(name, in)
			walk(in, fn)
		}
	case []any:
		for _, in := range v {
			walk(in, fn)
		}
	}
}
