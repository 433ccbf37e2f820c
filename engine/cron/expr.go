package cron

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorhill/cronexpr"
)

// maxText bounds an expression, its zone included, in bytes.
const maxText = 256

// blanks separate fields and may stand around them.
const blanks = " \t"

// Options say how to read a text and what to do about daylight saving. The zero
// value is what the wire contract's Upstash-Cron means.
type Options struct {
	// Seconds makes it six or seven fields, the first being the second and the
	// seventh the year. Without it there are exactly five. It is a choice of its
	// own because libraries disagree about what six fields mean.
	Seconds bool
	// DST is the rule for fixed times that do not exist or come twice.
	// Default: FireOnce.
	DST DST
}

// Expr is a parsed expression. It is not safe for concurrent use, not even by
// two readers: cronexpr writes into its own value when asked for the next time.
// Give each Expr one owner. It takes about 2 KiB, half of it cronexpr's table of
// the days of a month (BenchmarkParse reports it), and some 10 microseconds to
// make; zones are shared.
type Expr struct {
	text    string
	fields  *cronexpr.Expression
	loc     *time.Location
	dst     DST
	follows bool // the hour field follows real time
}

// faults counts what must never happen: a panic in cronexpr, or a tick that is
// not after its argument.
var faults atomic.Uint64

// Faults returns how often, in this process, an evaluation failed in a way that
// must never happen and was turned into "no tick". Anything but 0 is a bug here.
func Faults() uint64 { return faults.Load() }

// Parse reads cron text as the package comment describes it. An error says which
// field is wrong, its value and what would be right; the caller adds where the
// text came from. An expression that never fires is refused; one that fires in
// the past only is not, as there is no clock here: ask Next.
func Parse(text string, o Options) (*Expr, error) {
	text = strings.Trim(text, blanks+"\r\n")
	if len(text) > maxText {
		return nil, fmt.Errorf("the cron expression has %d bytes; at most %d are allowed", len(text), maxText)
	}
	if int(o.DST) >= len(dstNames) {
		return nil, fmt.Errorf("%s is no daylight saving rule; want fire-once, skip or both", o.DST)
	}
	rest, loc, err := cutZone(text)
	if err != nil {
		return nil, err
	}
	canonical, follows, err := parseFields(rest, o.Seconds)
	if err != nil {
		return nil, err
	}
	x := &Expr{text: text, loc: loc, dst: o.DST, follows: follows}
	if x.fields, err = evaluator(canonical); err != nil {
		return nil, err
	}
	if _, ok := x.Next(minAfter * 1000); !ok {
		return nil, neverError(text, o)
	}
	return x, nil
}

// neverError says why a text never fires, as far as what is wrong with it can be told.
func neverError(text string, o Options) error {
	day := "day of month, month and day of week"
	if o.Seconds {
		day = "day of month, month, day of week and year"
	}
	if o.DST == Skip {
		day += ", or the clock skips its time on every such day"
	}
	return fmt.Errorf("%q never fires: no day from 1970 to 2099 matches its %s", text, day)
}

// String returns the text as it was given, its zone included, without the blanks
// around it.
func (x *Expr) String() string { return x.text }

// Location returns the zone whose wall clock the fields are about.
func (x *Expr) Location() *time.Location { return x.loc }

// evaluator hands checked text to cronexpr. Its panic, against all expectation,
// becomes an error.
func evaluator(canonical string) (e *cronexpr.Expression, err error) {
	defer func() {
		if r := recover(); r != nil {
			faults.Add(1)
			err = fmt.Errorf("%q cannot be evaluated: %v", canonical, r)
		}
	}()
	return cronexpr.Parse(canonical)
}

// macros are the names of whole expressions.
var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

var errMacro = errors.New("want five fields such as 0 9 * * *, or " +
	"@yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly")

// parseFields checks all fields and returns the text for cronexpr.
func parseFields(text string, seconds bool) (canonical string, follows bool, err error) {
	values := strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(blanks, c) })
	grammar := []*field{&minuteField, &hourField, &domField, &monthField, &dowField}
	if len(values) > 0 && values[0][0] == '@' {
		macro, ok := macros[strings.ToLower(values[0])]
		if !ok || len(values) > 1 {
			return "", false, fmt.Errorf("%q is not supported; %w", strings.Join(values, " "), errMacro)
		}
		values = strings.Fields(macro)
	} else if seconds {
		grammar = append([]*field{&secondField}, append(grammar, &yearField)...)
		if len(values) == 6 {
			values = append(values, "*")
		}
	}
	if len(values) != len(grammar) {
		return "", false, countError(len(values), seconds)
	}
	out := make([]string, len(values))
	for i, f := range grammar {
		p, err := f.parse(values[i])
		if err != nil {
			return "", false, err
		}
		out[i] = p.text
		follows = follows || p.follows
	}
	return strings.Join(out, " "), follows, nil
}

func countError(n int, seconds bool) error {
	want := "five: minute, hour, day of month, month, day of week"
	if seconds {
		want = "six or seven: second, minute, hour, day of month, month, day of week and perhaps year"
	}
	if n == 0 {
		return fmt.Errorf("the cron expression is empty; want %s", want)
	}
	return fmt.Errorf("the cron expression has %d fields; want %s", n, want)
}
