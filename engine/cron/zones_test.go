package cron

import (
	"archive/zip"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// texts are the expressions of the oracle's runs: hour fields of both sorts,
// around the hours at which zones jump, and every form of the other fields.
var texts = []string{
	"* * * * *", "*/5 * * * *", "*/15 * * * *", "*/7 * * * *", "0 * * * *", "30 * * * *", "45 * * * *", "59 * * * *",
	"17,47 * * * *", "5-10 * * * *", "20/25 * * * *", "0 */2 * * *", "0 */3 * * *", "30 1-23/2 * * *", "0 2/6 * * *", "*/20 */4 * * *",
	"0 0-23 * * *", "15 0-23/1 * * *", "0 */12 * * *", "10 3,*/8 * * *",
	"0 0 * * *", "30 0 * * *", "0 1 * * *", "30 1 * * *", "15 2 * * *", "30 2 * * *", "45 2 * * *", "0 3 * * *", "30 3 * * *",
	"0 9 * * *", "59 23 * * *", "30 23 * * *", "*/15 0 * * *", "*/15 1 * * *", "*/15 2 * * *", "*/10 3 * * *", "* 2 * * *", "* 0,23 * * *",
	"0,30 2 * * *", "0,30 1,2 * * *", "0 0-3 * * *", "30 1-3 * * *", "0 0,12 * * *", "0 9-17 * * 1-5", "20 1-22 * * *", "40 2-4/1 * * *",
	"0 2 * * sun", "30 2 * * 7", "0 0 * * fri", "0 0 1 * *", "30 2 31 * *", "0 2 29 2 *", "0 12 L * *", "0 1 LW * *", "30 2 15W * *",
	"0 2 * * 0#5", "0 3 * * sunL", "0 2 1,15 * 1", "0 2 ? jan-mar,OCT ?", "5 0 */3 */2 *",
}

var secondTexts = []string{
	"* * * * * *", "*/20 * * * * *", "30 59 * * * *", "59 59 23 * * *", "15 30 2 * * *", "*/15 59 1 * * *", "0,59 */10 2 * * *",
	"1 0 0 * * *", "10-12 0 0-3 * * *", "45 * 1 * * ? 1970-2099", "7 7 */2 * * * *",
}

// zoneNames lists the zones of the Go distribution's database, which is the one
// time/tzdata embeds.
func zoneNames(t testing.TB) []string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for _, f := range r.File {
		if _, err := zones.load(f.Name); err == nil {
			names = append(names, f.Name)
		} else if !strings.HasSuffix(f.Name, "/") {
			t.Errorf("the database's %s: %v", f.Name, err)
		}
	}
	if len(names) < 500 {
		t.Fatalf("the database has %d zones", len(names))
	}
	return names
}

// jump is an instant at which a zone's offset changes.
type jump struct{ at, before, after int64 }

// jumps finds the changes of offset in [from, to) by looking at the clock: once a
// day, then closer where a day makes a difference.
func jumps(loc *time.Location, from, to int64) (js []jump) {
	offset := func(t int64) int64 {
		_, off := time.Unix(t, 0).In(loc).Zone()
		return int64(off)
	}
	for t := from; t < to; t += 86400 {
		lo, hi := t, t+86400
		if offset(lo) == offset(hi) {
			continue
		}
		for hi-lo > 1 {
			if mid := (lo + hi) / 2; offset(mid) == offset(lo) {
				lo = mid
			} else {
				hi = mid
			}
		}
		js = append(js, jump{hi, offset(lo), offset(hi)})
	}
	return js
}

func year(y int) int64 { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }

// seeded returns chance whose seed is new in every run and printed when the test
// fails; TIDEMILL_CRON_SEED replays one.
func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("TIDEMILL_CRON_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("TIDEMILL_CRON_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// pick returns n of the texts, in random order.
func pick(r *rand.Rand, from []string, n int) []string {
	out := make([]string, n)
	for i, k := range r.Perm(len(from))[:n] {
		out[i] = from[k]
	}
	return out
}

// mustHave are the zones whose clocks have been hard on other schedulers, each
// with a day of its own (P29).
var mustHave = []struct{ zone, day string }{
	{"America/New_York", "2026-03-08"},
	{"America/New_York", "2026-11-01"},
	{"Europe/Berlin", "2026-03-29"},
	{"Europe/Berlin", "2026-10-25"},
	{"Africa/Cairo", "2026-04-24"},
	{"Africa/Cairo", "2026-10-29"},
	{"America/Sao_Paulo", "2018-11-04"},
	{"America/Sao_Paulo", "2018-02-17"},
	{"Australia/Lord_Howe", "2026-10-04"},
	{"Australia/Lord_Howe", "2026-04-05"},
	{"Pacific/Apia", "2011-12-30"},
	{"Pacific/Kwajalein", "1993-08-21"},
	{"Pacific/Kiritimati", "1994-12-31"},
	{"Africa/Casablanca", "2026-02-15"},
	{"Africa/Casablanca", "2026-03-22"},
	{"Antarctica/Troll", "2026-03-29"},
	{"Antarctica/Troll", "2026-10-25"},
	{"Europe/Dublin", "2026-03-29"},
	{"Europe/Dublin", "2026-10-25"},
	{"Asia/Gaza", "2026-03-28"},
	{"Asia/Gaza", "2026-10-24"},
	{"Asia/Kathmandu", "1986-01-01"},
	{"Africa/Monrovia", "1972-01-07"},
	{"Asia/Pyongyang", "2018-05-05"},
	{"America/Caracas", "2007-12-09"},
	{"Antarctica/Casey", "2020-10-04"},
}

func TestOracle(t *testing.T) {
	r := seeded(t)
	minutes, secs := len(texts), len(secondTexts)
	if raceEnabled {
		minutes, secs = 5, 2
	}
	total := 0
	for _, c := range mustHave {
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		noon := day.Unix() + 12*3600
		n, diffs := newBatch(pick(r, texts, minutes)...).compare(c.zone, noon-2*86400, noon+2*86400)
		total += n
		for _, j := range jumps(must(t, "CRON_TZ="+c.zone+" * * * * *", Both).Location(), noon-2*86400, noon+2*86400) {
			m, d := newBatch(pick(r, secondTexts, secs)...).compare(c.zone, j.at-3*3600, j.at+4*3600)
			total, diffs = total+m, append(diffs, d...)
		}
		for _, d := range diffs {
			t.Error(d)
		}
	}
	t.Logf("%d ticks", total)
}

// TestOracleAllZones looks at random jumps of random zones. TIDEMILL_CRON_FULL=1
// looks at all: see TestOracleFull.
func TestOracleAllZones(t *testing.T) {
	r := seeded(t)
	names := zoneNames(t)
	windows := 80
	if raceEnabled {
		windows = 10
	}
	total := 0
	for range windows {
		zone := names[r.IntN(len(names))]
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		from := year(1970+r.IntN(128)) + 4*86400
		near := from + r.Int64N(300*86400)
		if js := jumps(loc, from, from+360*86400); len(js) > 0 {
			near = js[r.IntN(len(js))].at
		}
		n, diffs := newBatch(pick(r, texts, 12)...).compare(zone, near-86400, near+86400)
		m, d := newBatch(pick(r, secondTexts, 2)...).compare(zone, near-2*3600, near+3*3600)
		total += n + m
		for _, d := range append(diffs, d...) {
			t.Error(d)
		}
	}
	t.Logf("%d ticks", total)
}
