package client

import (
	"io"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// chunk is how many rows a table holds until it prints them: their widths are those of the columns,
// and grow where a later chunk needs it. So a list of any length costs the memory of a chunk.
const chunk = 100

const (
	gap       = 2 // between columns
	cellMax   = 200
	columnMin = 8 // what a terminal that is too narrow leaves of a column
)

// table prints rows in columns.
type table struct {
	out    *Output
	cols   []Column
	widths []int
	rows   [][]string
	begun  bool
}

func (t *table) add(o Object) error {
	row := make([]string, len(t.cols))
	for i := range t.cols {
		row[i] = clean(t.cols[i].Cell(o))
	}
	if t.rows = append(t.rows, row); len(t.rows) < chunk {
		return nil
	}
	return t.flush()
}

// flush prints what is held, below the titles if nothing was printed before.
func (t *table) flush() error {
	for i := range t.cols {
		t.widths[i] = max(t.widths[i], textWidth(t.cols[i].Title), t.cols[i].least)
		for _, row := range t.rows {
			t.widths[i] = max(t.widths[i], min(textWidth(row[i]), cellMax))
		}
	}
	t.fit()
	var b strings.Builder
	if !t.begun {
		t.begun = true
		titles := make([]string, len(t.cols))
		for i := range t.cols {
			titles[i] = t.cols[i].Title
		}
		t.line(&b, titles, func(_ *Column, padded, _ string) string { return t.out.title(padded) })
	}
	for _, row := range t.rows {
		t.line(&b, row, t.out.paint)
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(t.out.w, b.String())
	return err
}

// fit makes the widest columns narrower until a line fits the terminal.
func (t *table) fit() {
	if t.out.width == 0 {
		return
	}
	for {
		sum, widest := -gap, 0
		for i, w := range t.widths {
			sum += w + gap
			if w > t.widths[widest] {
				widest = i
			}
		}
		if sum <= t.out.width || t.widths[widest] <= columnMin {
			return
		}
		t.widths[widest]--
	}
}

// line appends one line; blanks at its end are left out.
func (t *table) line(b *strings.Builder, cells []string, paint func(c *Column, padded, cell string) string) {
	last := len(cells) - 1
	for last > 0 && cells[last] == "" {
		last--
	}
	for i, cell := range cells[:last+1] {
		c := &t.cols[i]
		if t.out.width > 0 {
			cell = runewidth.Truncate(cell, t.widths[i], "…")
		}
		padded := cell
		if i < last || c.right {
			padded = pad(cell, t.widths[i], c.right)
		}
		b.WriteString(paint(c, padded, cell))
		if i < last {
			b.WriteString(strings.Repeat(" ", gap))
		}
	}
	b.WriteByte('\n')
}

func textWidth(s string) int { return runewidth.StringWidth(s) }

func pad(s string, width int, right bool) string {
	blanks := strings.Repeat(" ", max(0, width-textWidth(s)))
	if right {
		return blanks + s
	}
	return s + blanks
}

// clean makes s one line that does nothing to a terminal: what a message's publisher or destination
// wrote must not move the cursor of who looks at it.
func clean(s string) string {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case bad(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

func (o *Output) title(text string) string {
	if !o.color {
		return text
	}
	return bold + text + plain
}

// paint gives the cells of a column of states their colours.
func (o *Output) paint(c *Column, padded, cell string) string {
	if !o.color || c.color == nil {
		return padded
	}
	if code := c.color(cell); code != "" {
		return code + padded + plain
	}
	return padded
}
