package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// section is a TOML table, or what stands above the first one.
type section struct {
	table    string
	settings []Setting
}

// sections are the settings as a file has them, in the order of the table. A setting
// whose table is the name of a setting with a value, as of data.min-free, stands above
// the tables with its whole name.
func sections(settings []Setting) []section {
	out := []section{{}}
	for _, s := range settings {
		name, at := table(s.Name), -1
		if find(settings, name) != nil {
			name = ""
		}
		for i := range out {
			if out[i].table == name {
				at = i
			}
		}
		if at < 0 {
			at = len(out)
			out = append(out, section{table: name})
		}
		out[at].settings = append(out[at].settings, s)
	}
	return out
}

// key is the key of a setting in a section.
func (s *section) key(name string) string {
	if s.table != "" {
		return name[len(s.table)+1:]
	}
	if strings.Contains(name, ".") {
		return strconv.Quote(name)
	}
	return name
}

// plain is a value as JSON and TOML have it: a number, a truth, an array or a text. Of a
// secret it is three stars.
func plain(v pflag.Value) any {
	switch v := v.(type) {
	case *CountValue:
		return int(*v)
	case *FlagValue:
		return bool(*v)
	case *ListValue:
		return append([]string{}, *v...)
	}
	return v.String()
}

// literal is a value as TOML writes it, which is as JSON does but for one character.
func literal(v any) string {
	if list, ok := v.([]string); ok {
		items := make([]string, len(list))
		for i := range list {
			items[i] = literal(list[i])
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // numbers, truths and texts have no error
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// WriteTOML writes a file that says what c is; with origins, where each value is from.
// Secrets are comments.
func (c *Config) WriteTOML(w io.Writer, origins bool) error {
	var b strings.Builder
	for i, s := range sections(c.Settings()) {
		if i > 0 {
			fmt.Fprintf(&b, "\n[%s]\n", s.table)
		}
		for _, set := range s.settings {
			if set.Secret() {
				b.WriteString("# ")
			}
			fmt.Fprintf(&b, "%s = %s", s.key(set.Name), literal(plain(set.Value)))
			if origins {
				fmt.Fprintf(&b, " # %s", oneLine(c.Origin(set.Name).String()))
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
