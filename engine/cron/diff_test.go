package cron

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	hashicorp "github.com/hashicorp/cronexpr"
)

// randomText makes a valid expression of five fields, or with seconds of seven, in
// every form the grammar has. It may never fire.
func randomText(r *rand.Rand, seconds bool) string {
	months := strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec JAN Dec")
	days := strings.Fields("sun mon tue wed thu fri sat SUN Sat")
	f := []string{
		randomField(r, 0, 59, nil), randomField(r, 0, 23, nil), randomField(r, 1, 31, randomMonthDay),
		randomField(r, 1, 12, func(r *rand.Rand) string { return months[r.IntN(len(months))] }),
		randomField(r, 0, 6, func(r *rand.Rand) string {
			return days[r.IntN(len(days))] + []string{"", "", "L", "#" + strconv.Itoa(1+r.IntN(5))}[r.IntN(4)]
		}),
	}
	if seconds {
		f = append([]string{randomField(r, 0, 59, nil)}, append(f, randomField(r, 1990, 2090, nil))...)
	}
	return strings.Join(f, " ")
}

func randomMonthDay(r *rand.Rand) string {
	return []string{"L", "LW", fmt.Sprintf("%dW", 1+r.IntN(31)), "l", "lw"}[r.IntN(5)]
}

// randomField is * half of the time, else a list of up to three items.
func randomField(r *rand.Rand, lo, hi int, special func(*rand.Rand) string) string {
	if r.IntN(2) == 0 {
		return "*"
	}
	items := make([]string, 1+r.IntN(3))
	for i := range items {
		a := lo + r.IntN(hi-lo+1)
		b := a + r.IntN(hi-a+1)
		step := 2 + r.IntN(min(hi, 59)-1)
		items[i] = []func() string{
			func() string { return strconv.Itoa(a) },
			func() string { return fmt.Sprintf("%d-%d", a, b) },
			func() string { return fmt.Sprintf("%d-%d/%d", a, b, step) },
			func() string { return fmt.Sprintf("%d/%d", a, step) },
			func() string { return fmt.Sprintf("*/%d", step) },
			func() string {
				if special == nil {
					return strconv.Itoa(b)
				}
				return special(r)
			},
		}[r.IntN(6)]()
	}
	return strings.Join(items, ",")
}

// TestHashicorp compares with the maintained fork of the parser, in UTC, where
// it is right. Left out is what it gets wrong there: in its weekdays a range
// that ends on Sunday runs to Saturday, so 0-0 is every day.
func TestHashicorp(t *testing.T) {
	r := seeded(t)
	rounds := 4000
	if raceEnabled {
		rounds = 600
	}
	fired, never := 0, 0
	for range rounds {
		seconds := r.IntN(3) == 0
		text := randomText(r, seconds)
		if r.IntN(30) == 0 { // random lists nearly always fire
			seconds, text = false, fmt.Sprintf("0 0 %d %d *", 29+r.IntN(3), 2*(1+r.IntN(3)))
		}
		if dow := strings.Fields(text + " *")[map[bool]int{false: 4, true: 5}[seconds]]; strings.Contains(dow, "0-0") {
			continue
		}
		theirs, err := hashicorp.Parse(text)
		if err != nil {
			t.Fatalf("%s: hashicorp: %v", text, err)
		}
		when := time.Unix(year(1971)+r.Int64N(year(2095)-year(1971)), 0).UTC()
		ours, err := Parse(text, Options{Seconds: seconds, DST: DST(r.IntN(3))})
		if err != nil {
			never++
			if first := theirs.Next(time.Unix(minAfter, 0).UTC()); !first.IsZero() {
				t.Errorf("%s: %v, but hashicorp has %s", text, err, first)
			}
			continue
		}
		for range 20 {
			fired++
			want := theirs.Next(when)
			got, ok := ours.Next(when.UnixMilli())
			if ok == want.IsZero() || ok && got != want.UnixMilli() {
				t.Errorf("%s after %s: %s, %v; hashicorp has %s", text, when, show(ours, got), ok, want)
				break
			}
			if when = want; !ok {
				break
			}
		}
	}
	t.Logf("%d ticks, %d expressions that never fire", fired, never)
	if fired < rounds*10 || never == 0 {
		t.Error("the generator makes too little of one sort")
	}
}
