package delay

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

const (
	durationBytesMax = 64 // "106751d23h47m16s854.775ms" is 24

	durationHelp = `want numbers with the units d, h, m, s or ms, such as "50s", "1d10h30m" or "1.5h"; a bare integer is seconds`
)

var errDurationRange = errors.New("is longer than 292 years")

// ParseDuration reads the duration of a request header (QSTASH.md §0.1, §3.4): one
// or more numbers with a unit of d, h, m, s or ms, in any order and combination,
// without spaces, or a bare integer, which is seconds. A number may have a decimal
// fraction; what is finer than a nanosecond is cut off. Signs, exponents, spaces
// and digits that are not ASCII are refused, and so is what does not fit a
// time.Duration.
func ParseDuration(s string) (time.Duration, error) {
	switch {
	case s == "":
		return 0, fmt.Errorf("duration is empty: %s", durationHelp)
	case len(s) > durationBytesMax:
		return 0, fmt.Errorf("duration of %d bytes is longer than %d: %s", len(s), durationBytesMax, durationHelp)
	case s[0] == '-':
		return 0, fmt.Errorf("duration %q is negative: %s", s, durationHelp)
	}
	d, err := parseUnits(s, headerUnit, true)
	if err != nil {
		return 0, fmt.Errorf("duration %q %w: %s", s, err, durationHelp)
	}
	return d, nil
}

// headerUnit names the units of a request header.
func headerUnit(name string) time.Duration {
	switch name {
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "m":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return 24 * time.Hour
	}
	return 0
}

// parseUnits sums <number><unit> pairs. unit gives a unit's length, or 0 for one
// it does not know. bareSeconds accepts one integer without a unit.
func parseUnits(s string, unit func(string) time.Duration, bareSeconds bool) (time.Duration, error) {
	total := uint64(0)
	for at := 0; at < len(s); {
		whole := digits(s[at:])
		frac := ""
		next := at + len(whole)
		if next < len(s) && s[next] == '.' {
			frac = digits(s[next+1:])
			next += 1 + len(frac)
		}
		if whole == "" && frac == "" {
			return 0, fmt.Errorf("has no number at %q", s[at:])
		}
		name := unitName(s[next:])
		length := unit(name)
		switch {
		case name == "" && bareSeconds && next == len(s) && len(whole) == len(s):
			length = time.Second
		case name == "":
			return 0, fmt.Errorf("has no unit after %q", s[at:next])
		case length == 0:
			return 0, fmt.Errorf("has the unknown unit %q", name)
		}
		part, ok := scale(whole, frac, uint64(length))
		if !ok || part > math.MaxInt64-total {
			return 0, errDurationRange
		}
		total += part
		at = next + len(name)
	}
	return time.Duration(total), nil
}

// digits is the run of ASCII digits that s begins with.
func digits(s string) string {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n]
}

// unitName is what stands before the next number.
func unitName(s string) string {
	n := 0
	for n < len(s) && s[n] != '.' && (s[n] < '0' || s[n] > '9') {
		n++
	}
	return s[:n]
}

// scale is (whole + 0.frac) * unit, exactly, cut off at the nanosecond.
func scale(whole, frac string, unit uint64) (uint64, bool) {
	n := uint64(0)
	for _, c := range []byte(whole) {
		hi, lo := bits.Mul64(n, 10)
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		n = lo + uint64(c-'0')
	}
	hi, n := bits.Mul64(n, unit)
	if hi != 0 || n > math.MaxInt64 {
		return 0, false
	}
	return n + fraction(frac, unit), true
}

// fraction is floor(0.frac * unit). Digits are taken from the last to the first:
// 0.d1d2.. * unit = (d1 * unit + 0.d2.. * unit) / 10, and the floor of a sum of an
// integer and a fraction divided by ten is that of the integer part divided by ten.
func fraction(frac string, unit uint64) uint64 {
	n := uint64(0)
	for i := len(frac) - 1; i >= 0; i-- {
		n = (uint64(frac[i]-'0')*unit + n) / 10
	}
	return n
}

// Format writes d, which must not be negative, in the shortest form that
// ParseDuration reads back: whole days as days (365d), else as time.Duration does
// without the zero parts at its end (2h, 1m30s).
func Format(d time.Duration) string {
	const day = 24 * time.Hour
	if d == 0 {
		return "0"
	}
	if d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
