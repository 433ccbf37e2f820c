package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// row is a line of a table, with what it can be sorted by.
type row struct {
	name     string
	cells    []string // without the name
	trouble  int      // more is worse
	waiting  int
	inFlight int
	slow     float64
}

// table is one of the lists of a page. The first column is the name, which takes the room that the
// others leave.
type table struct {
	title string
	heads []string
	rows  []row
}

// order is what tables are sorted by.
type order int

const (
	byTrouble order = iota
	byWaiting
	byInFlight
	bySlowness
	byName
	orders // how many there are
)

func (o order) String() string {
	return [...]string{"trouble", "waiting", "in flight", "slowness", "name"}[o]
}

func (o order) compare(a, b row) int {
	first := 0
	switch o {
	case byTrouble:
		first = cmp.Compare(b.trouble, a.trouble)
	case byWaiting:
		first = cmp.Compare(b.waiting, a.waiting)
	case byInFlight:
		first = cmp.Compare(b.inFlight, a.inFlight)
	case bySlowness:
		first = cmp.Compare(b.slow, a.slow)
	case byName:
		return cmp.Compare(a.name, b.name)
	}
	return cmp.Or(first, cmp.Compare(b.waiting, a.waiting), cmp.Compare(a.name, b.name))
}

// nameLeast is how narrow the column of names may become.
const nameLeast = 16

// lines lays the table out with at most rows rows, in a width of 0 for any.
func (t *table) lines(o order, rows, width int) []string {
	shown := slices.SortedStableFunc(slices.Values(t.rows), o.compare)
	head := fmt.Sprintf("%s %d", t.title, len(shown))
	if len(shown) > rows {
		head = fmt.Sprintf("%s %d of %d", t.title, rows, len(shown))
		shown = shown[:rows]
	}
	widths := t.widths(shown)
	names := utf8.RuneCountInString(head)
	for i := range shown {
		names = max(names, utf8.RuneCountInString(shown[i].name))
	}
	if width > 0 {
		left := width
		for _, w := range widths {
			left -= w + 2
		}
		names = min(names, max(left, nameLeast))
	}
	out := []string{line(head, names, t.heads, widths)}
	for i := range shown {
		out = append(out, line(shown[i].name, names, shown[i].cells, widths))
	}
	return out
}

func (t *table) widths(shown []row) []int {
	widths := make([]int, len(t.heads))
	for i, h := range t.heads {
		widths[i] = len(h)
		for j := range shown {
			widths[i] = max(widths[i], utf8.RuneCountInString(shown[j].cells[i]))
		}
	}
	return widths
}

func line(name string, names int, cells []string, widths []int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s", names, cut(name, names))
	for i, c := range cells {
		fmt.Fprintf(&b, "  %*s", widths[i], c)
	}
	return b.String()
}

// cut shortens a name in its middle: hosts differ at their ends, and URLs begin alike.
func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	head := (most - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(most-1-head):])
}
