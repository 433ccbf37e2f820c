package cron

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind tells the fields apart whose grammar has more than numbers.
type kind uint8

const (
	plain kind = iota
	hours
	monthDays
	weekdays
)

// field is the grammar of one cron field.
type field struct {
	name     string
	kind     kind
	min, max int // of a value
	last     int // the highest value of *, and of a step without an upper end
	maxStep  int
	names    []string // for values from min on
	want     string   // what a value may be, for people
}

var (
	secondField = field{name: "second", min: 0, max: 59, last: 59, maxStep: 59, want: "0 to 59"}
	minuteField = field{name: "minute", min: 0, max: 59, last: 59, maxStep: 59, want: "0 to 59"}
	hourField   = field{name: "hour", kind: hours, min: 0, max: 23, last: 23, maxStep: 23, want: "0 to 23"}
	domField    = field{
		name: "day of month", kind: monthDays, min: 1, max: 31, last: 31, maxStep: 31,
		want: "1 to 31, L, LW or 1W to 31W",
	}
	monthField = field{
		name: "month", min: 1, max: 12, last: 12, maxStep: 12, want: "1 to 12 or jan to dec",
		names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"},
	}
	dowField = field{
		name: "day of week", kind: weekdays, min: 0, max: 7, last: 6, maxStep: 6,
		want:  "0 to 7 (0 and 7 are Sunday), sun to sat, 5L for the last Friday or 5#2 for the second",
		names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"},
	}
	yearField = field{name: "year", min: 1970, max: 2099, last: 2099, maxStep: 129, want: "1970 to 2099"}
)

// span is lo, lo+step, ... up to hi.
type span struct{ lo, hi, step int }

// parsed is what a field says. Its text is canonical and the only form that
// cronexpr sees, which mistakes a month 01 for month 0, reads fri-7 as nothing
// and does not know that */1 is *.
type parsed struct {
	text    string
	follows bool // an hour field that follows real time
}

// parse checks a field and rewrites it. The error names the field and the value.
func (f *field) parse(text string) (parsed, error) {
	if f.kind >= monthDays && text == "?" {
		return parsed{text: "*"}, nil
	}
	var items []string
	var set uint64 // of values below 64, which is all but years
	every, stepped := false, false
	for item := range strings.SplitSeq(text, ",") {
		if special, ok, err := f.special(item); err != nil {
			return parsed{}, err
		} else if ok {
			items = append(items, special)
			continue
		}
		s, err := f.span(text, item)
		if err != nil {
			return parsed{}, err
		}
		every = every || strings.HasPrefix(item, "*") && s.step == 1
		stepped = stepped || s.step > 1
		for v := s.lo; v <= s.hi; v += s.step {
			set |= 1 << (v % 64)
		}
		items = append(items, f.canonical(s)...)
	}
	p := parsed{text: strings.Join(items, ",")}
	if every {
		p.text = "*"
	}
	p.follows = f.kind == hours && (every || stepped || set == 1<<24-1)
	return p, nil
}

// canonical writes a span the way cronexpr reads it right. Weekdays are written
// one by one, because a range up to 7 ends, for cronexpr, at 0.
func (f *field) canonical(s span) []string {
	if f.kind == weekdays {
		var days []string
		for v := s.lo; v <= s.hi; v += s.step {
			days = append(days, strconv.Itoa(v%7))
		}
		return days
	}
	text := strconv.Itoa(s.lo)
	if s.hi > s.lo {
		text += "-" + strconv.Itoa(s.hi)
		if s.step > 1 {
			text += "/" + strconv.Itoa(s.step)
		}
	}
	return []string{text}
}

// span reads *, a, a-b and each of them with a step; text is the whole field.
func (f *field) span(text, item string) (span, error) {
	if item == "" {
		return span{}, fmt.Errorf("%s: %q has an empty item; want %s, or a list of these with one comma between two", f.name, text, f.want)
	}
	body, stepText, stepped := strings.Cut(item, "/")
	s, err := f.ends(item, body)
	if err != nil || !stepped {
		return s, err
	}
	n, ok := number(stepText, len(strconv.Itoa(f.maxStep)))
	if !ok || n < 1 || n > f.maxStep {
		return span{}, fmt.Errorf("%s: %q has the step %q; want 1 to %d", f.name, item, stepText, f.maxStep)
	}
	s.step = n
	if body != "*" && !strings.Contains(body, "-") {
		s.hi = max(f.last, s.lo)
	}
	return s, nil
}

// ends reads *, a and a-b.
func (f *field) ends(item, body string) (span, error) {
	if body == "*" {
		return span{f.min, f.last, 1}, nil
	}
	from, to, isRange := strings.Cut(body, "-")
	lo, err := f.value(item, from)
	if err != nil || !isRange {
		return span{lo, lo, 1}, err
	}
	hi, err := f.value(item, to)
	if err != nil {
		return span{}, err
	}
	if hi >= lo {
		return span{lo, hi, 1}, nil
	}
	hint := fmt.Sprintf("write two ranges, %s-%d,%d-%s", from, f.last, f.min, to)
	if f.kind == weekdays && hi == 0 {
		hint = fmt.Sprintf("for Sunday at the end of a range write 7: %d-7", lo)
	}
	return span{}, fmt.Errorf("%s: %q runs backwards; %s", f.name, item, hint)
}

// value reads one number or name.
func (f *field) value(item, text string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.min + i, nil
	}
	if n, ok := number(text, len(strconv.Itoa(max(f.max, 10)))); ok && n >= f.min && n <= f.max {
		return n, nil
	}
	if text == item {
		return 0, fmt.Errorf("%s: %q is not valid; want %s", f.name, text, f.want)
	}
	return 0, fmt.Errorf("%s: %q in %q is not valid; want %s", f.name, text, item, f.want)
}

// special reads the forms that only the day fields have. ok says that item is one.
func (f *field) special(item string) (text string, ok bool, err error) {
	text = strings.ToLower(item)
	switch f.kind {
	case monthDays:
		if text == "l" || text == "lw" {
			return text, true, nil
		}
		if day, ok := strings.CutSuffix(text, "w"); ok {
			n, err := f.value(item, day)
			return strconv.Itoa(n) + "w", true, err
		}
	case weekdays:
		if day, ok := strings.CutSuffix(text, "l"); ok {
			n, err := f.value(item, day)
			return strconv.Itoa(n%7) + "l", true, err
		}
		if day, week, ok := strings.Cut(text, "#"); ok {
			n, err := f.value(item, day)
			if k, isNumber := number(week, 1); err == nil && (!isNumber || k < 1 || k > 5) {
				err = fmt.Errorf("%s: %q has the week %q; want 1 to 5, as in 5#2 for the second Friday", f.name, item, week)
			}
			return strconv.Itoa(n%7) + "#" + week, true, err
		}
	}
	return "", false, nil
}

// number reads up to digits decimal digits and nothing else.
func number(text string, digits int) (int, bool) {
	if text == "" || len(text) > digits {
		return 0, false
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
