package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/pflag"
)

// fileMax bounds the TOML file.
const fileMax = 1 << 20

// applyFile reads the TOML file. It is refused as a whole if it cannot be read; else
// every key that is wrong is a problem of its own.
func (l *loader) applyFile(path string) {
	if path == "" {
		return
	}
	text, open, err := readShort(path, fileMax)
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("the configuration file %s: %w", path, withoutPath(err)))
		return
	}
	secret := l.applyTOML(path, []byte(text))
	if secret && open {
		l.warn("%s holds a secret and can be read by others: chmod 600 it, or move the secret to a file of its own", path)
	}
}

// applyTOML applies a document, and says whether it has a secret in it.
func (l *loader) applyTOML(path string, doc []byte) (secret bool) {
	before := len(l.problems)
	d := &document{loader: l, path: path, seen: map[string]Origin{}}
	d.parser.Reset(doc)
	for d.parser.NextExpression() {
		d.expression(d.parser.Expression())
	}
	if e, ok := errors.AsType[*unstable.ParserError](d.parser.Error()); ok {
		l.fail(d.at(d.parser.Range(e.Highlight)), "this is not TOML: %s (what follows was not read)", withoutText(e.Message))
	}
	if len(l.problems) > before {
		return d.secret
	}
	// What is left are tables and keys that the rules of TOML do not allow beside one
	// another. The library judges that by the whole document; its errors name keys only.
	if e, ok := errors.AsType[*toml.DecodeError](toml.Unmarshal(doc, new(map[string]any))); ok {
		line, column := e.Position()
		l.fail(Origin{Source: FromFile, Name: path, Line: line, Column: column}, "this is not TOML: %s", strings.TrimPrefix(e.Error(), "toml: "))
	}
	return d.secret
}

// aCharacter is how the parser quotes what it stumbled over.
var aCharacter = regexp.MustCompile(` U\+[0-9A-F]+( '.+')?`)

// withoutText takes characters of the document out of an error: they may be a secret's.
func withoutText(message string) string {
	message = strings.Replace(message, " but got U+", " here, not U+", 1)
	message = aCharacter.ReplaceAllString(message, " what is here")
	return strings.Replace(message, "character what is here at start of value", "start of a value: a text needs quotes", 1)
}

// document is a TOML file that is being read.
type document struct {
	*loader
	path   string
	parser unstable.Parser
	prefix string // the table's name and a dot, "" before the first one
	skip   bool   // the table is unknown, and that was said
	seen   map[string]Origin
	secret bool
}

func (d *document) at(r unstable.Range) Origin {
	pos := d.parser.Shape(r).Start
	return Origin{Source: FromFile, Name: d.path, Line: pos.Line, Column: pos.Column}
}

func (d *document) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		name, _, at := d.key(n)
		d.table(name, at, n.Kind == unstable.ArrayTable)
	case unstable.KeyValue:
		if !d.skip {
			d.keyValue(d.prefix, n)
		}
	}
}

// key is a key with its parts joined by dots, and where it stands. So [log] fsync,
// log.fsync and "log.fsync" are one name: the last is the way to write data.min-free
// beside data. of is the first part, if there are more.
func (d *document) key(n *unstable.Node) (name, of string, at Origin) {
	var parts []string
	for it := n.Key(); it.Next(); {
		if len(parts) == 0 {
			at = d.at(it.Node().Raw)
		}
		parts = append(parts, string(it.Node().Data))
	}
	if len(parts) > 1 {
		of = parts[0]
	}
	return strings.Join(parts, "."), of, at
}

// isValue refuses a table of a name that has a value already, as data may have.
func (d *document) isValue(name string, at Origin) bool {
	set, ok := d.seen[name]
	if ok {
		d.fail(at, "%s has its value in line %d, so it cannot be a table: write the whole name in quotes above the first table, such as \"data.min-free\" = \"1GiB\"",
			name, set.Line)
	}
	return ok
}

func (d *document) table(name string, at Origin, array bool) {
	d.prefix, d.skip = name+".", true
	tables := d.tables()
	near, name := nearest(name, tables), oneLine(name)
	switch {
	case array:
		d.fail(at, "[[%s]] is an array of tables, and no setting is one: want [%s]", name, name)
	case slices.Contains(tables, name):
		d.skip = d.isValue(name, at)
	case find(d.settings, name) != nil:
		d.fail(at, "%s is a setting, not a table: write %s = ...", name, name)
	case near != "":
		d.fail(at, "there is no table [%s]: did you mean [%s]?", name, near)
	default:
		d.fail(at, "there is no table [%s]: there are %s", name, strings.Join(tables, ", "))
	}
}

// tables are the names of all tables.
func (d *document) tables() (out []string) {
	for i := range d.settings {
		if t := table(d.settings[i].Name); t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

func (d *document) keyValue(prefix string, n *unstable.Node) {
	name, of, at := d.key(n)
	name = prefix + name
	if prefix == "" && of != "" && d.isValue(of, at) {
		return
	}
	value := n.Value()
	s := find(d.settings, name)
	switch {
	case s == nil && value.Kind == unstable.InlineTable && slices.Contains(d.tables(), name):
		for it := value.Children(); it.Next(); {
			d.keyValue(name+".", it.Node())
		}
		return
	case s == nil:
		d.fail(at, "%s", d.unknownKey(name))
		return
	}
	if first, twice := d.seen[name]; twice {
		d.fail(at, "%s has a value already, in line %d: keep one of them", name, first.Line)
		return
	}
	d.seen[name] = at
	if s.Secret() {
		d.secret = true
		if value.Kind == unstable.String && len(value.Data) == 0 {
			return // as if it were not there, like an empty variable
		}
	}
	d.apply(&given{name, at, func(v pflag.Value) error {
		if err := d.set(v, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}})
}

func (d *document) unknownKey(name string) string {
	name = oneLine(name)
	var known []string
	for i := range d.settings {
		known = append(known, d.settings[i].Name)
		if d.settings[i].Alias == name {
			return fmt.Sprintf("there is no setting %s: did you mean %s?", name, d.settings[i].Name)
		}
	}
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("there is no setting %s: did you mean %s?", name, near)
	}
	return fmt.Sprintf("there is no setting %s: `tidemill config example` lists them all", name)
}

// set sets v from a TOML value of the kind that is right for it.
func (d *document) set(v pflag.Value, n *unstable.Node) error {
	text, want := string(n.Data), ""
	switch v := v.(type) {
	case *ListValue:
		return d.setList(v, n)
	case *FlagValue:
		if n.Kind == unstable.Bool {
			return v.Set(text)
		}
		want = "true or false, without quotes"
	case *CountValue:
		if n.Kind == unstable.Integer {
			return setInteger(v, text)
		}
		want = "a whole number, without quotes"
	case *SizeValue, *RateValue, *MinFreeValue:
		switch n.Kind {
		case unstable.Integer:
			return setInteger(v, text)
		case unstable.String:
			return setText(v, text)
		}
		want = `a size in quotes such as "64MiB", or a number of bytes`
	case *DurationValue, *KeepValue:
		if n.Kind == unstable.String || n.Kind == unstable.Integer && text == "0" {
			return setText(v, text)
		}
		want = `a duration in quotes, with its unit, such as "90s" or "7d"`
	default:
		if n.Kind == unstable.String {
			return setText(v, text)
		}
		want = "a text in quotes"
	}
	return fmt.Errorf("%s is wrong here: want %s", kindName(n.Kind), want)
}

// setInteger sets a number that may be written in the ways of TOML.
func setInteger(v pflag.Value, text string) error {
	n, err := strconv.ParseInt(text, 0, 64) // base 0: 1_000, 0x10
	if err != nil {
		return fmt.Errorf("invalid value %s: it is too large", text)
	}
	return setText(v, strconv.FormatInt(n, 10))
}

// setList sets a list from an array. An item is one item, so it has no comma in it.
func (d *document) setList(v *ListValue, n *unstable.Node) error {
	if n.Kind != unstable.Array {
		return fmt.Errorf("%s is wrong here: want an array of texts such as [\"a\", \"b\"]", kindName(n.Kind))
	}
	for it := n.Children(); it.Next(); {
		item := it.Node()
		text := strings.TrimSpace(string(item.Data))
		switch {
		case item.Kind != unstable.String:
			return fmt.Errorf("%s is wrong in this array: want texts in quotes", kindName(item.Kind))
		case text == "" || strings.Contains(text, ","):
			return fmt.Errorf("invalid item %q: want one name in each pair of quotes", text)
		}
		*v = append(*v, text)
	}
	return nil
}

func kindName(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a text"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer:
		return "a whole number"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Array:
		return "an array"
	case unstable.InlineTable:
		return "a table"
	}
	return "a date or time"
}
