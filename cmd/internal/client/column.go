package client

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/delay"
)

// Column is one value of an object: a column of a list, or a line of one thing. A cell that is ""
// is left blank.
type Column struct {
	Title string
	Cell  func(o Object) string
	right bool
	least int                      // width, in a table
	color func(cell string) string // an escape sequence, "" for none
}

// Text is a member as it is.
func Text(title, member string) Column {
	return Column{Title: title, Cell: func(o Object) string { return o.Text(member) }}
}

// Number is a whole number, 0 if it is missing.
func Number(title, member string) Column {
	return Column{Title: title, right: true, Cell: func(o Object) string { return strconv.FormatInt(o.Int(member), 10) }}
}

// Time is a member in unix milliseconds, shown in the zone of who looks at it.
func Time(title, member string) Column {
	return Column{Title: title, Cell: func(o Object) string { return Stamp(o.Time(member)) }}
}

// Relative is a member in unix milliseconds as the time from now: "in 5m", "3s ago".
func Relative(title, member string) Column {
	return Column{Title: title, Cell: func(o Object) string { return relative(o.Time(member), time.Now()) }}
}

// YesNo is a truth.
func YesNo(title, member string) Column {
	return Column{Title: title, Cell: func(o Object) string {
		if o.Bool(member) {
			return "yes"
		}
		return "no"
	}}
}

// Words is a list of texts.
func Words(title, member string) Column {
	return Column{Title: title, Cell: func(o Object) string {
		var words []string
		for _, raw := range o.List(member) {
			words = append(words, Object{"": raw}.Text(""))
		}
		return strings.Join(words, ", ")
	}}
}

// Cell is anything else.
func Cell(title string, cell func(o Object) string) Column { return Column{Title: title, Cell: cell} }

// Colored gives the cells of a column colours by their words, on a terminal.
func (c Column) Colored() Column {
	c.color = stateColor
	return c
}

// AtLeast gives a column a width that rows to come are known to need.
func (c Column) AtLeast(width int) Column {
	c.least = width
	return c
}

// Right aligns a column at its right.
func (c Column) Right() Column {
	c.right = true
	return c
}

func stateColor(word string) string {
	switch word {
	case "DELIVERED", "done":
		return green
	case "FAILED", "failed":
		return red
	case "ERROR", "RETRY", "CANCELED", "CANCEL_REQUESTED", "paused", "stopped":
		return yellow
	}
	return ""
}

// Stamp is a moment to the millisecond in the local zone, "" for none. It is RFC 3339, so that it
// can be given back to a command.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02T15:04:05.000Z07:00")
}

// relative is the time between now and t, in the two largest units.
func relative(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	if d := t.Sub(now); d >= 0 {
		return "in " + rough(d)
	}
	return rough(now.Sub(t)) + " ago"
}

// rough rounds d to what still matters of it.
func rough(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		d = d.Truncate(24 * time.Hour)
	case d >= time.Hour:
		d = d.Truncate(time.Minute)
	default:
		d = d.Truncate(time.Second)
	}
	return delay.Format(d)
}
