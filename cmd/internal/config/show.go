package config

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Formats are the forms in which Show writes.
var Formats = []string{"table", "json", "toml"}

// Show writes all settings in one of Formats; with origins, where each value is from.
// Secrets are three stars.
func (c *Config) Show(w io.Writer, format string, origins bool) error {
	switch format {
	case "json":
		return c.writeJSON(w, origins)
	case "toml":
		return c.WriteTOML(w, origins)
	}
	return c.writeTable(w, origins)
}

func (c *Config) writeTable(w io.Writer, origins bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value, origin string) {
		if origins {
			fmt.Fprintf(t, "%s\t%s\t%s\n", name, value, origin)
		} else {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	row("NAME", "VALUE", "ORIGIN")
	for _, s := range c.Settings() {
		value := s.Value.String()
		if value == "" {
			value = "-"
		}
		row(s.Name, oneLine(value), oneLine(c.Origin(s.Name).String()))
	}
	return t.Flush()
}

// shownJSON is a setting in `config show -o json`.
type shownJSON struct {
	Name   string      `json:"name"`
	Value  any         `json:"value"`
	Origin *originJSON `json:"origin,omitempty"`
}

type originJSON struct {
	Source string `json:"source"` // default, credential, file, environment or flag
	Name   string `json:"name,omitempty"`
	Line   int    `json:"line,omitempty"`
	Path   string `json:"path,omitempty"` // of the file of a secret
}

func (c *Config) writeJSON(w io.Writer, origins bool) error {
	var out []shownJSON
	for _, s := range c.Settings() {
		row := shownJSON{Name: s.Name, Value: plain(s.Value)}
		if o := c.Origin(s.Name); origins {
			row.Origin = &originJSON{Source: o.Source.String(), Name: o.Name, Line: o.Line, Path: o.Path}
		}
		out = append(out, row)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
