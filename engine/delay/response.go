package delay

import (
	"net/http"
	"strings"
	"time"
)

// responseHeaders are looked at in this order; the first that is present is taken
// and the others are not looked at, even if it says nothing useful.
var responseHeaders = [...]string{
	"Retry-After",
	"X-RateLimit-Reset",
	"X-RateLimit-Reset-Requests",
	"X-RateLimit-Reset-Tokens",
}

// FromResponse is the wait that a failed response asks for (QSTASH.md §5.4). get
// returns a header's value, or "" when it is absent. The value is a number of
// seconds (0: at once), an HTTP date, or a Go duration, in which d is a day. ok is
// false, and the normal backoff holds, when no header is present or the first is
// unreadable, negative (a date that has passed: a destination whose clock is wrong
// must not turn backoff off), or beyond one day, as a Unix time taken for seconds
// is.
func FromResponse(get func(name string) string, now time.Time) (wait time.Duration, ok bool) {
	for _, name := range responseHeaders {
		if value := strings.Trim(get(name), " \t"); value != "" {
			return parseAsked(value, now)
		}
	}
	return 0, false
}

// parseAsked reads one such value. A destination wrote it, so it is bounded like
// any other input.
func parseAsked(value string, now time.Time) (time.Duration, bool) {
	if len(value) > durationBytesMax {
		return 0, false
	}
	wait, err := parseUnits(value, goUnit, true)
	if err != nil {
		date, err := http.ParseTime(value)
		if err != nil {
			return 0, false
		}
		// A date has whole seconds: the present one has not passed.
		if wait = date.Sub(now); wait < 0 && wait > -time.Second {
			wait = 0
		}
	}
	return wait, wait >= 0 && wait <= Max
}

// goUnit names the units of a Go duration, and the day.
func goUnit(name string) time.Duration {
	switch name {
	case "ns":
		return time.Nanosecond
	case "us", "\u00b5s", "\u03bcs": // micro sign and Greek mu, as in time.ParseDuration
		return time.Microsecond
	}
	return headerUnit(name)
}
