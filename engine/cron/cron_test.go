package cron

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain also fails the run if cronexpr ever panicked on what it was given, or a
// tick was not after its argument.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if n := Faults(); n != 0 {
			fmt.Fprintf(os.Stderr, "FAIL: %d faults\n", n)
			code = 1
		}
		os.Exit(code)
	}))
}

// must parses what a test knows to be right. Six and seven fields are told by
// their number.
func must(t testing.TB, text string, d DST) *Expr {
	t.Helper()
	x, err := Parse(text, optionsFor(text, d))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func optionsFor(text string, d DST) Options {
	n := len(strings.Fields(text))
	if strings.Contains(text, "TZ=") {
		n--
	}
	return Options{Seconds: n > 5, DST: d}
}

// at reads an instant written with its offset.
func at(t testing.TB, s string) int64 {
	t.Helper()
	when, err := time.Parse("2006-01-02 15:04:05 -07:00", s)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixMilli()
}

// show writes an instant as at reads it.
func show(x *Expr, ms int64) string {
	return time.UnixMilli(ms).In(x.Location()).Format("2006-01-02 15:04:05 -07:00")
}

// TestDates holds the days that every rule must get right (P29). All instants are
// written by hand from the zones' published changes.
func TestDates(t *testing.T) {
	all := []DST{FireOnce, Skip, Both}
	for _, c := range []struct {
		text string
		dst  []DST
		from string // ticks strictly after it
		want []string
	}{
		{"CRON_TZ=America/New_York 30 2 * * *", []DST{FireOnce, Both}, "2026-03-07 00:00:00 -05:00", []string{
			"2026-03-07 02:30:00 -05:00", "2026-03-08 03:00:00 -04:00", "2026-03-09 02:30:00 -04:00",
		}},
		{"CRON_TZ=America/New_York 30 2 * * *", []DST{Skip}, "2026-03-07 00:00:00 -05:00", []string{
			"2026-03-07 02:30:00 -05:00", "2026-03-09 02:30:00 -04:00",
		}},
		{"CRON_TZ=America/New_York 0,30 2,3 * * *", []DST{FireOnce, Both}, "2026-03-08 00:00:00 -05:00", []string{
			"2026-03-08 03:00:00 -04:00", "2026-03-08 03:30:00 -04:00", "2026-03-09 02:00:00 -04:00",
		}},
		{"CRON_TZ=America/New_York 15,30 2 * * *", []DST{FireOnce, Both}, "2026-03-08 00:00:00 -05:00", []string{
			"2026-03-08 03:00:00 -04:00", "2026-03-09 02:15:00 -04:00",
		}},
		{"CRON_TZ=America/New_York * 2 * * *", []DST{FireOnce, Both}, "2026-03-08 00:00:00 -05:00", []string{
			"2026-03-08 03:00:00 -04:00", "2026-03-09 02:00:00 -04:00", "2026-03-09 02:01:00 -04:00",
		}},
		{"CRON_TZ=America/New_York */20 2 * * *", []DST{Skip}, "2026-03-08 00:00:00 -05:00", []string{
			"2026-03-09 02:00:00 -04:00", "2026-03-09 02:20:00 -04:00",
		}},
		{"CRON_TZ=America/New_York 0 * * * *", all, "2026-03-08 00:30:00 -05:00", []string{
			"2026-03-08 01:00:00 -05:00", "2026-03-08 03:00:00 -04:00", "2026-03-08 04:00:00 -04:00",
		}},
		{"CRON_TZ=America/New_York 0 */2 * * *", all, "2026-03-08 00:00:00 -05:00", []string{"2026-03-08 04:00:00 -04:00"}},
		{"CRON_TZ=America/New_York 30 1 * * *", []DST{FireOnce, Skip}, "2026-10-31 12:00:00 -04:00", []string{
			"2026-11-01 01:30:00 -04:00", "2026-11-02 01:30:00 -05:00",
		}},
		{"CRON_TZ=America/New_York 30 1 * * *", []DST{Both}, "2026-10-31 12:00:00 -04:00", []string{
			"2026-11-01 01:30:00 -04:00", "2026-11-01 01:30:00 -05:00", "2026-11-02 01:30:00 -05:00",
		}},
		{"CRON_TZ=America/New_York 0 0-2 * * *", []DST{FireOnce, Skip}, "2026-10-31 12:00:00 -04:00", []string{
			"2026-11-01 00:00:00 -04:00", "2026-11-01 01:00:00 -04:00", "2026-11-01 02:00:00 -05:00",
		}},
		{"CRON_TZ=America/New_York 0 1-4/3 * * *", all, "2026-10-31 12:00:00 -04:00", []string{
			"2026-11-01 01:00:00 -04:00", "2026-11-01 01:00:00 -05:00", "2026-11-01 04:00:00 -05:00",
		}},
		{"CRON_TZ=America/New_York 0 0-23 * * *", all, "2026-11-01 00:30:00 -04:00", []string{
			"2026-11-01 01:00:00 -04:00", "2026-11-01 01:00:00 -05:00", "2026-11-01 02:00:00 -05:00",
		}},
		{"CRON_TZ=America/New_York */30 * * * *", all, "2026-11-01 01:00:00 -04:00", []string{
			"2026-11-01 01:30:00 -04:00", "2026-11-01 01:00:00 -05:00", "2026-11-01 01:30:00 -05:00", "2026-11-01 02:00:00 -05:00",
		}},
		{"TZ=Europe/Berlin 30 2 * * *", []DST{FireOnce}, "2026-03-29 00:00:00 +01:00", []string{
			"2026-03-29 03:00:00 +02:00", "2026-03-30 02:30:00 +02:00",
		}},
		{"TZ=Europe/Berlin 30 2 * * *", []DST{FireOnce}, "2026-10-25 00:00:00 +02:00", []string{
			"2026-10-25 02:30:00 +02:00", "2026-10-26 02:30:00 +01:00",
		}},
		{"TZ=Europe/Berlin 59 59 2 * * *", []DST{FireOnce}, "2026-03-29 00:00:00 +01:00", []string{
			"2026-03-29 03:00:00 +02:00", "2026-03-30 02:59:59 +02:00",
		}},
		{"TZ=Europe/Berlin */30 59 2 * * * 2026", []DST{FireOnce}, "2026-10-25 00:00:00 +02:00", []string{
			"2026-10-25 02:59:00 +02:00", "2026-10-25 02:59:30 +02:00", "2026-10-26 02:59:00 +01:00",
		}},
		// Midnight itself does not exist: 24 April 2026 begins at 01:00.
		{"CRON_TZ=Africa/Cairo @daily", []DST{FireOnce, Both}, "2026-04-23 00:00:00 +02:00", []string{
			"2026-04-24 01:00:00 +03:00", "2026-04-25 00:00:00 +03:00",
		}},
		{"CRON_TZ=Africa/Cairo 0 0 * * fri", []DST{Skip}, "2026-04-17 00:00:00 +02:00", []string{"2026-05-01 00:00:00 +03:00"}},
		{"CRON_TZ=America/Sao_Paulo 0 0 * * *", []DST{FireOnce, Both}, "2018-11-03 00:00:00 -03:00", []string{
			"2018-11-04 01:00:00 -02:00", "2018-11-05 00:00:00 -02:00",
		}},
		// ... and 17 February 2018 has 23:00 to 23:59 twice.
		{"CRON_TZ=America/Sao_Paulo 30 23 * * *", []DST{FireOnce}, "2018-02-17 00:00:00 -02:00", []string{
			"2018-02-17 23:30:00 -02:00", "2018-02-18 23:30:00 -03:00",
		}},
		// Lord Howe: 02:00 to 02:30 is missing, 01:30 to 02:00 comes twice.
		{"CRON_TZ=Australia/Lord_Howe */15 2 * * *", []DST{FireOnce, Both}, "2026-10-04 00:00:00 +10:30", []string{
			"2026-10-04 02:30:00 +11:00", "2026-10-04 02:45:00 +11:00", "2026-10-05 02:00:00 +11:00",
		}},
		{"CRON_TZ=Australia/Lord_Howe 15 2 * * *", []DST{FireOnce, Both}, "2026-10-04 00:00:00 +10:30", []string{
			"2026-10-04 02:30:00 +11:00", "2026-10-05 02:15:00 +11:00",
		}},
		{"CRON_TZ=Australia/Lord_Howe 45 * * * *", all, "2026-10-04 01:00:00 +10:30", []string{
			"2026-10-04 01:45:00 +10:30", "2026-10-04 02:45:00 +11:00",
		}},
		{"CRON_TZ=Australia/Lord_Howe 45 * * * *", all, "2026-04-05 01:00:00 +11:00", []string{
			"2026-04-05 01:45:00 +11:00", "2026-04-05 01:45:00 +10:30", "2026-04-05 02:45:00 +10:30",
		}},
		{"CRON_TZ=Australia/Lord_Howe */20 1 * * *", []DST{FireOnce}, "2026-04-05 00:00:00 +11:00", []string{
			"2026-04-05 01:00:00 +11:00", "2026-04-05 01:20:00 +11:00", "2026-04-05 01:40:00 +11:00", "2026-04-06 01:00:00 +10:30",
		}},
		// Apia went from the end of 29 December 2011 to the 31st.
		{"CRON_TZ=Pacific/Apia 0 9 * * *", []DST{FireOnce, Both}, "2011-12-29 00:00:00 -10:00", []string{
			"2011-12-29 09:00:00 -10:00", "2011-12-31 00:00:00 +14:00", "2011-12-31 09:00:00 +14:00",
		}},
		{"CRON_TZ=Pacific/Apia 0 9 * * *", []DST{Skip}, "2011-12-29 00:00:00 -10:00", []string{
			"2011-12-29 09:00:00 -10:00", "2011-12-31 09:00:00 +14:00",
		}},
		{"CRON_TZ=Pacific/Apia 0 0,9 30 12 *", []DST{FireOnce}, "2011-12-01 00:00:00 -10:00", []string{
			"2011-12-31 00:00:00 +14:00", "2012-12-30 00:00:00 +14:00",
		}},
		{"CRON_TZ=Pacific/Apia 0 */12 * * *", all, "2011-12-29 10:00:00 -10:00", []string{
			"2011-12-29 12:00:00 -10:00", "2011-12-31 00:00:00 +14:00", "2011-12-31 12:00:00 +14:00",
		}},
		// Two hours at Troll, and Casablanca's Ramadan, when the clock goes back first.
		{"CRON_TZ=Antarctica/Troll 30 1,2 * * *", []DST{FireOnce}, "2026-03-29 00:00:00 +00:00", []string{
			"2026-03-29 03:00:00 +02:00", "2026-03-30 01:30:00 +02:00",
		}},
		{"CRON_TZ=Africa/Casablanca 30 2 * * *", []DST{FireOnce, Skip}, "2026-02-15 00:00:00 +01:00", []string{
			"2026-02-15 02:30:00 +01:00", "2026-02-16 02:30:00 +00:00",
		}},
		{"CRON_TZ=Africa/Casablanca 30 2 * * *", []DST{FireOnce}, "2026-03-22 00:00:00 +00:00", []string{
			"2026-03-22 03:00:00 +01:00", "2026-03-23 02:30:00 +01:00",
		}},
		{"CRON_TZ=Europe/Dublin 30 1 * * *", []DST{FireOnce}, "2026-03-29 00:00:00 +00:00", []string{
			"2026-03-29 02:00:00 +01:00", "2026-03-30 01:30:00 +01:00",
		}},
		// A new standard offset: Kathmandu lost 15 minutes in 1986, Pyongyang half an hour in 2018.
		{"CRON_TZ=Asia/Kathmandu 10 0 * * *", []DST{FireOnce}, "1985-12-31 12:00:00 +05:30", []string{
			"1986-01-01 00:15:00 +05:45", "1986-01-02 00:10:00 +05:45",
		}},
		{"CRON_TZ=Asia/Pyongyang 45 23 * * *", []DST{Skip}, "2018-05-04 00:00:00 +08:30", []string{
			"2018-05-05 23:45:00 +09:00",
		}},
		// An offset with odd seconds: Monrovia left -00:44:30 in 1972.
		{"CRON_TZ=Africa/Monrovia 30 0 * * *", []DST{FireOnce}, "1972-01-06 12:00:00 +00:00", []string{
			"1972-01-07 00:44:30 +00:00", "1972-01-08 00:30:00 +00:00",
		}},
		{"0 0 29 2 *", all, "2096-02-29 00:00:00 +00:00", nil},
		{"0 0 29 2 *", all, "2026-01-01 00:00:00 +00:00", []string{"2028-02-29 00:00:00 +00:00", "2032-02-29 00:00:00 +00:00"}},
		{"0 0 1,15 * MON", all, "2026-06-01 00:00:00 +00:00", []string{"2026-06-08 00:00:00 +00:00", "2026-06-15 00:00:00 +00:00"}},
		{"0 0 */1 * 1", all, "2026-06-01 00:00:00 +00:00", []string{"2026-06-08 00:00:00 +00:00"}},
		{"0 0 ? 01 5-7", all, "2026-01-01 00:00:00 +00:00", []string{
			"2026-01-02 00:00:00 +00:00", "2026-01-03 00:00:00 +00:00", "2026-01-04 00:00:00 +00:00", "2026-01-09 00:00:00 +00:00",
		}},
		{"0 0 LW * ?", all, "2026-01-01 00:00:00 +00:00", []string{"2026-01-30 00:00:00 +00:00", "2026-02-27 00:00:00 +00:00"}},
		{"0 0 1W * *", all, "2026-07-15 00:00:00 +00:00", []string{"2026-08-03 00:00:00 +00:00"}},
		{"0 0 * * FriL", all, "2026-01-01 00:00:00 +00:00", []string{"2026-01-30 00:00:00 +00:00"}},
		{"0 0 * * 7#2", all, "2026-01-01 00:00:00 +00:00", []string{"2026-01-11 00:00:00 +00:00"}},
	} {
		for _, d := range c.dst {
			x := must(t, c.text, d)
			after := at(t, c.from)
			for _, want := range c.want {
				tick, ok := x.Next(after)
				if !ok || tick != at(t, want) {
					t.Errorf("%s (%s): %s is followed by %s, %v; want %s", c.text, d, show(x, after), show(x, tick), ok, want)
					break
				}
				after = tick
			}
			if _, ok := x.Next(after); ok && c.want == nil {
				t.Errorf("%s ticks after %s", c.text, c.from)
			}
		}
	}
}
