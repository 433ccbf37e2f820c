package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// How results are printed.
const (
	FormatTable  = "table"  // for people
	FormatJSON   = "json"   // what the server answered, a list as one array
	FormatNDJSON = "ndjson" // one object a line
)

// BindOutput defines the flag --output, -o.
func BindOutput(c *cobra.Command) (format *string) {
	return config.BindChoice(c, "output", "o", "how to print it (ndjson: one object a line)", FormatTable, FormatJSON, FormatNDJSON)
}

// Output prints results in the format that was asked for. It is used by one goroutine.
type Output struct {
	format string
	w      io.Writer
	width  int  // columns of the terminal; 0 if it is none: then nothing is cut
	color  bool // a terminal, and NO_COLOR is not set
}

// NewOutput returns an output to w.
func NewOutput(w io.Writer, format string, environ []string) *Output {
	o := &Output{format: format, w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(f.Fd()) {
		o.width = 80
		if width, _, err := term.GetSize(f.Fd()); err == nil && width > 0 {
			o.width = width
		}
		o.color = !slices.ContainsFunc(environ, func(kv string) bool {
			v, ok := strings.CutPrefix(kv, "NO_COLOR=")
			return ok && v != "" || kv == "TERM=dumb"
		})
	}
	return o
}

// Table says whether a person reads.
func (o *Output) Table() bool { return o.format == FormatTable }

// JSON prints raw as it is, and in NDJSON on one line.
func (o *Output) JSON(raw json.RawMessage) error {
	line := bytes.NewBuffer(make([]byte, 0, len(raw)+1))
	if o.format != FormatNDJSON {
		line.Write(bytes.TrimSpace(raw))
	} else if err := json.Compact(line, raw); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	line.WriteByte('\n')
	_, err := o.w.Write(line.Bytes())
	return err
}

// Line prints a line of text.
func (o *Output) Line(text string) error {
	_, err := io.WriteString(o.w, clean(text)+"\n")
	return err
}

// One prints one object: as a table a line for each column that has a value.
func (o *Output) One(raw json.RawMessage, cols ...Column) error {
	if !o.Table() {
		return o.JSON(raw)
	}
	object, err := Parse(raw)
	if err != nil {
		return err
	}
	widest := 0
	for i := range cols {
		widest = max(widest, textWidth(cols[i].Title))
	}
	var b strings.Builder
	for i := range cols {
		if cell := clean(cols[i].Cell(object)); cell != "" {
			fmt.Fprintf(&b, "%s  %s\n", o.title(pad(cols[i].Title, widest, false)), o.paint(&cols[i], cell, cell))
		}
	}
	_, err = io.WriteString(o.w, b.String())
	return err
}

// Told prints the answer of a call that changed something: as a table the sentence that tell
// makes of it.
func (o *Output) Told(raw json.RawMessage, tell func(answer Object) string) error {
	if !o.Table() {
		return o.JSON(raw)
	}
	answer, err := Parse(raw)
	if err != nil {
		return err
	}
	return o.Line(tell(answer))
}

// List begins a list.
func (o *Output) List(cols ...Column) *List {
	return &List{out: o, table: table{out: o, cols: cols, widths: make([]int, len(cols))}}
}

// Lines begins a list that has no end: its JSON is one object a line.
func (o *Output) Lines(cols ...Column) *List {
	lines := *o
	if o.format == FormatJSON {
		lines.format = FormatNDJSON
	}
	return lines.List(cols...)
}

// List prints elements as they come. After the last one it must be closed, or abandoned.
type List struct {
	out   *Output
	table table
	n     int
}

// Add prints raw, or keeps it until the widths of the columns are known.
func (l *List) Add(raw json.RawMessage) error {
	if l.n++; l.out.Table() {
		object, err := Parse(raw)
		if err != nil {
			return err
		}
		return l.table.add(object)
	}
	if l.out.format == FormatJSON {
		begin := ",\n"
		if l.n == 1 {
			begin = "["
		}
		_, err := fmt.Fprintf(l.out.w, "%s%s", begin, raw)
		return err
	}
	return l.out.JSON(raw)
}

// Len is how many were added.
func (l *List) Len() int { return l.n }

// Flush prints what a table has kept.
func (l *List) Flush() error {
	if l.out.Table() && l.n > 0 {
		return l.table.flush()
	}
	return nil
}

// Close ends the list.
func (l *List) Close() error {
	switch {
	case l.out.Table():
		return l.table.flush()
	case l.out.format == FormatJSON && l.n == 0:
		_, err := io.WriteString(l.out.w, "[]\n")
		return err
	case l.out.format == FormatJSON:
		_, err := io.WriteString(l.out.w, "]\n")
		return err
	}
	return nil
}

// Abandon ends a list that is not complete: rows are printed, and an array stays open, so that
// nobody takes it for the whole.
func (l *List) Abandon() {
	_ = l.Flush() // there is an error to tell already
	if l.out.format == FormatJSON && l.n > 0 {
		_, _ = io.WriteString(l.out.w, "\n")
	}
}
