package top

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// none stands where there is nothing to tell.
const none = "-"

// count writes a number in at most six characters.
func count[T int | int64 | uint64](n T) string {
	switch f := float64(n); {
	case f < 1e5:
		return strconv.FormatInt(int64(n), 10)
	case f < 1e8:
		return fmt.Sprintf("%.1fk", f/1e3)
	}
	return fmt.Sprintf("%.1fM", float64(n)/1e6)
}

// some writes a number, or none for 0.
func some(n int) string {
	if n == 0 {
		return none
	}
	return count(n)
}

// rate writes how many a second; small ones with a digit more, so that one in ten seconds shows.
func rate(f float64) string {
	if f > 0 && f < 10 {
		return fmt.Sprintf("%.1f/s", f)
	}
	return count(int64(f+0.5)) + "/s"
}

func size[T int64 | uint64](n T) string {
	f, unit := float64(n), 0
	for f >= 1000 && unit < 5 {
		f, unit = f/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%dB", int64(n))
	}
	return fmt.Sprintf("%.1f%ciB", f, " KMGTP"[unit])
}

// span writes a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func ago(now time.Time, t *time.Time) string {
	if t == nil {
		return none
	}
	return span(max(now.Sub(*t), 0)) + " ago"
}

func in(now time.Time, t *time.Time) string {
	if t == nil {
		return none
	}
	return "in " + span(max(t.Sub(now), 0))
}

// clean makes text that others chose fit to be written to a terminal: what could move its cursor
// or change its state is shown as a question mark.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
