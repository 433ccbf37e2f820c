package wirecheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/oasdiff/yaml3"
)

// Assemble makes one JSON document of the YAML files in dir. Their objects
// and lists are united; another value that two files give is an error. Anchors hold within one file.
func Assemble(dir string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	whole := map[string]any{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var part map[string]any
		if err := yaml.Unmarshal(text, &part); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if err := unite(whole, part); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(whole); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func unite(into, from map[string]any) error {
	for name, v := range from {
		old, there := into[name]
		if !there {
			into[name] = v
			continue
		}
		joined, err := join(old, v)
		if err != nil {
			return fmt.Errorf("%s%w", name, err)
		}
		into[name] = joined
	}
	return nil
}

func join(a, b any) (any, error) {
	switch a := a.(type) {
	case []any:
		if b, ok := b.([]any); ok {
			return append(a, b...), nil
		}
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			if err := unite(a, b); err != nil {
				return nil, fmt.Errorf(": %w", err)
			}
			return a, nil
		}
	}
	return nil, errors.New(" is there twice")
}
