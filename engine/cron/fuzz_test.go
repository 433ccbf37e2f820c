package cron

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// FuzzParse: no text makes Parse panic; what it takes gives, after each of 50
// random times, a tick strictly later, strictly increasing from there, and none
// between; and it takes what String returns.
func FuzzParse(f *testing.F) {
	for i, c := range refused {
		if len(c.text) < 1000 { // the fuzzer gains nothing from megabytes
			f.Add(c.text, c.seconds, uint8(0), uint64(i))
		}
	}
	for i, text := range append(texts, secondTexts...) {
		c := mustHave[i%len(mustHave)]
		f.Add("CRON_TZ="+c.zone+" "+text, len(strings.Fields(text)) > 5, uint8(i), uint64(i))
		f.Add(text, i%2 == 0, uint8(i), uint64(i))
	}
	f.Add("@daily", false, uint8(2), uint64(1))
	f.Add("TZ=Africa/Monrovia @hourly", false, uint8(1), uint64(2))
	f.Fuzz(func(t *testing.T, text string, seconds bool, dst uint8, seed uint64) {
		before := Faults()
		x, err := Parse(text, Options{Seconds: seconds, DST: DST(dst % 3)})
		if err != nil {
			if x != nil || err.Error() == "" || len(err.Error()) > 2000 {
				t.Fatalf("%v with the error %.100q", x, err)
			}
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		for range 50 {
			after := minAfter*1000 + r.Int64N((maxAfter-minAfter)*1000)
			tick, ok := x.Next(after)
			if !ok {
				continue
			}
			if tick <= after {
				t.Fatalf("%q: after %d comes %d", x, after, tick)
			}
			if between, ok := x.Next(after + r.Int64N(tick-after)); !ok || between != tick {
				t.Fatalf("%q: after %d comes %d, but from in between %d, %v", x, after, tick, between, ok)
			}
			if second, ok := x.Next(tick); ok && second <= tick {
				t.Fatalf("%q: after %d comes %d", x, tick, second)
			}
			if newest, ok := x.Newest(after, tick); !ok || newest != tick {
				t.Fatalf("%q: the newest of (%d, %d] is %d, %v", x, after, tick, newest, ok)
			}
			_ = x.Explain(tick).String()
		}
		if again, err := Parse(x.String(), Options{Seconds: seconds}); err != nil && DST(dst%3) != Skip || err == nil && again.String() != x.String() {
			t.Fatalf("%q is read again as %v, %v", x, again, err)
		}
		if Faults() != before {
			t.Fatalf("%q: %d faults", x, Faults()-before)
		}
	})
}
