package wirecheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/oasdiff/yaml3"
)

// Assemble makes one JSON document of the YAML files in dir. Their objects are united;
// a member that two files give is an error. Anchors hold within one file.
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
		a, isA := old.(map[string]any)
		b, isB := v.(map[string]any)
		if !isA || !isB {
			return fmt.Errorf("%s is there twice", name)
		}
		if err := unite(a, b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
