package delay

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

const day = 24 * time.Hour

func TestDefault(t *testing.T) {
	want := []time.Duration{
		12 * time.Second,
		2*time.Minute + 28*time.Second,
		30*time.Minute + 8*time.Second,
		6*time.Hour + 7*time.Minute + 6*time.Second,
		day, day,
	}
	for i, d := range want {
		if got := Default(i + 1); got != d {
			t.Errorf("retry %d: got %v, want %v", i+1, got, d)
		}
	}
	for retry, d := range map[int]time.Duration{0: want[0], -5: want[0], math.MinInt: want[0], 100: day, math.MaxInt: day} {
		if got := Default(retry); got != d {
			t.Errorf("retry %d: got %v, want %v", retry, got, d)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"50s":                   50 * time.Second,
		"1d10h30m":              34*time.Hour + 30*time.Minute,
		"3d5h12m":               77*time.Hour + 12*time.Minute,
		"1h30m3s":               5403 * time.Second,
		"30m1d":                 day + 30*time.Minute,
		"1s1s":                  2 * time.Second,
		"250ms":                 250 * time.Millisecond,
		"1m250ms":               time.Minute + 250*time.Millisecond,
		"0.5s":                  500 * time.Millisecond,
		".5s":                   500 * time.Millisecond,
		"1.5h":                  90 * time.Minute,
		"1.1d":                  day + 8640*time.Second,
		"0.0000000019s":         1,
		"0.99999999999999999ms": 999_999,
		"1":                     time.Second,
		"0":                     0,
		"007":                   7 * time.Second,
		"86400":                 day,
		"9223372036s":           9223372036 * time.Second,
		"106751d":               106751 * day,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for s, want := range map[string]string{
		"":                       "is empty",
		"-1s":                    "is negative",
		"+1s":                    "no number",
		"s":                      "no number",
		".s":                     "no number",
		"1.5":                    `no unit after "1.5"`,
		"1m5":                    `no unit after "5"`,
		"1w":                     `unknown unit "w"`,
		"1S":                     `unknown unit "S"`,
		"1us":                    `unknown unit "us"`,
		"1e9d":                   `unknown unit "e"`,
		"1h 30m":                 `unknown unit "h "`,
		" 1s":                    "no number",
		"1s ":                    `unknown unit "s "`,
		"1s-1s":                  `unknown unit "s-"`,
		"١s":                     "no number",
		"1.5.5s":                 `no unit after "1.5"`,
		"106752d":                "292 years",
		"106751d106751d":         "292 years",
		"99999999999999999999s":  "292 years",
		"9223372037":             "292 years",
		strings.Repeat("1s", 60): "longer than 64",
	} {
		got, err := ParseDuration(s)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "1d10h30m") {
			t.Errorf("%q: got %v, error %v, want one with %q and an example", s, got, err, want)
		}
	}
}

// What Go writes, and both grammars know, must be read as Go reads it.
func TestParseDurationAgreesWithGo(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		want := time.Duration(r.Int64() >> r.IntN(63)).Truncate(time.Millisecond)
		got, err := ParseDuration(want.String())
		if err != nil || got != want {
			t.Fatalf("%v: got %v, %v", want, got, err)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1d10h30m", "0.5s", "99999999999999999999s", "1ms", "5", ".", "1.s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q: %v", s, d)
		}
		std, stdErr := time.ParseDuration(s)
		if stdErr == nil && std != d && !(std-d < 10 && d-std < 10) { // Go rounds long fractions in floating point
			t.Fatalf("%q: %v, Go reads %v", s, d, std)
		}
	})
}

func TestFromResponse(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 400e6, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	type headers map[string]string
	const none = -1
	cases := []struct {
		in   headers
		want time.Duration
	}{
		{headers{}, none},
		{headers{"Retry-After": "120"}, 2 * time.Minute},
		{headers{"Retry-After": " 120\t"}, 2 * time.Minute},
		{headers{"Retry-After": "0"}, 0},
		{headers{"Retry-After": "86400"}, day},
		{headers{"Retry-After": "86401"}, none},
		{headers{"Retry-After": "1795000000"}, none}, // a Unix time
		{headers{"Retry-After": "99999999999999999999"}, none},
		{headers{"Retry-After": "-1"}, none},
		{headers{"Retry-After": "soon"}, none},
		{headers{"Retry-After": "1.5"}, none},
		{headers{"Retry-After": "1h30m"}, 90 * time.Minute},
		{headers{"Retry-After": "1.5s"}, 1500 * time.Millisecond},
		{headers{"Retry-After": "6m0s"}, 6 * time.Minute},
		{headers{"Retry-After": "20ms5us3µs3μs7ns"}, 20*time.Millisecond + 11*time.Microsecond + 7},
		{headers{"Retry-After": "1d"}, day},
		{headers{"Retry-After": "25h"}, none},
		{headers{"Retry-After": date(time.Minute)}, 59600 * time.Millisecond},
		{headers{"Retry-After": date(0)}, 0},
		{headers{"Retry-After": date(-time.Minute)}, none},
		{headers{"Retry-After": date(25 * time.Hour)}, none},
		{headers{"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, none},
		{headers{"Retry-After": strings.Repeat("1s", 100)}, none},
		{headers{"X-RateLimit-Reset": "5"}, 5 * time.Second},
		{headers{"X-RateLimit-Reset-Requests": "6s"}, 6 * time.Second},
		{headers{"X-RateLimit-Reset-Tokens": "7"}, 7 * time.Second},
		{headers{"X-RateLimit-Reset-Tokens": "7", "X-RateLimit-Reset": "5"}, 5 * time.Second},
		{headers{"X-RateLimit-Reset-Requests": "6", "Retry-After": "4"}, 4 * time.Second},
		{headers{"Retry-After": "soon", "X-RateLimit-Reset": "5"}, none}, // the first present decides
	}
	for _, c := range cases {
		got, ok := FromResponse(func(name string) string { return c.in[name] }, now)
		if ok != (c.want != none) || ok && got != c.want {
			t.Errorf("%v: got %v, %v, want %v", c.in, got, ok, c.want)
		}
	}
}

func FuzzFromResponse(f *testing.F) {
	f.Add("120")
	f.Add("Sat, 01 Aug 2026 12:01:00 GMT")
	f.Add("1d1h")
	f.Fuzz(func(t *testing.T, value string) {
		now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
		wait, ok := FromResponse(func(string) string { return value }, now)
		if ok && (wait < 0 || wait > Max) {
			t.Fatalf("%q: %v", value, wait)
		}
	})
}
