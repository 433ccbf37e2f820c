package sink

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// TestShares: each outcome gets its share, over messages and over the attempts of one.
func TestShares(t *testing.T) {
	p := &plan{seed: 7, hang: 0.01, reset: 0.05, fail: 0.2, slow: time.Second, slowShare: 0.3}
	const n = 100_000
	for name, key := range map[string]func(int) (string, int){
		"messages": func(i int) (string, int) { return fmt.Sprint("msg_", i), 0 },
		"attempts": func(i int) (string, int) { return "msg_1", i },
	} {
		var got [outcomes]int
		slow := 0
		for i := range n {
			id, retried := key(i)
			l := p.draw(id, retried)
			got[l.outcome]++
			if l.wait > 0 {
				slow++
			}
		}
		near := func(what string, got int, share float64) {
			if mean, dev := n*share, math.Sqrt(n*share*(1-share)); math.Abs(float64(got)-mean) > 5*dev {
				t.Errorf("%s: %d %s of %d, want about %.0f", name, got, what, n, mean)
			}
		}
		near("hung", got[hung], 0.01)
		near("reset", got[reset], 0.05)
		near("failed", got[failed], 0.2)
		near("ok", got[ok], 0.74)
		near("slow", slow, 0.3*0.94) // of what is answered
	}
}

// TestDraw: the lot is that of seed, message and attempt, and of nothing else.
func TestDraw(t *testing.T) {
	half := func(seed uint64) *plan { return &plan{seed: seed, fail: 0.5} }
	differ := 0
	for i := range 1000 {
		id := fmt.Sprint("msg_", i)
		if once := half(1).draw(id, i); once != half(1).draw(id, i) {
			t.Fatal("two draws for one attempt")
		}
		if half(1).draw(id, 0) != half(2).draw(id, 0) {
			differ++
		}
	}
	if differ < 400 || differ > 600 {
		t.Errorf("%d of 1000 lots differ with the seed, want about half", differ)
	}
	for _, c := range []struct {
		name    string
		plan    plan
		retried int
		want    lot
	}{
		{"nothing asked", plan{}, 0, lot{}},
		{"all hang", plan{hang: 1, slow: time.Second, slowShare: 1}, 0, lot{outcome: hung}},
		{"all are reset", plan{reset: 1, slow: time.Second, slowShare: 1}, 0, lot{outcome: reset}},
		{"all fail", plan{fail: 1}, 9, lot{outcome: failed}},
		{"all are slow", plan{slow: time.Second, slowShare: 1}, 0, lot{wait: time.Second}},
		{"none are slow", plan{slow: time.Second}, 0, lot{}},
		{"the second of two that fail", plan{failFirst: 2}, 1, lot{outcome: failed}},
		{"the one after them", plan{failFirst: 2}, 2, lot{}},
		{"failing comes before hanging", plan{failFirst: 1, hang: 1}, 0, lot{outcome: failed}},
	} {
		if got := c.plan.draw("msg_1", c.retried); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	// A seed means the same in every version: reports name it.
	var lots string
	for i := range 16 {
		lots += fmt.Sprint(int(half(1).draw("msg_1", i).outcome))
	}
	if want := "1101101001010110"; lots != want {
		t.Errorf("the lots of msg_1 under seed 1 are %s, were %s", lots, want)
	}
}

func TestTries(t *testing.T) {
	for in, want := range map[string]int{"": 0, "0": 0, "7": 7, "-1": 0, "x": 0, "99999999999": 0} {
		if got := tries(in); got != want {
			t.Errorf("tries(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestWindow(t *testing.T) {
	w := newWindow(2)
	for i, c := range []struct {
		id    string
		again bool
	}{{"a", false}, {"a", true}, {"b", false}, {"a", true}, {"c", false}, {"a", false}, {"c", true}, {"b", false}} {
		if got := w.add(c.id); got != c.again {
			t.Errorf("%d: %s is again: %v", i, c.id, got)
		}
	}
	for i := range 1000 {
		w.add(fmt.Sprint(i))
	}
	if len(w.mu.seen) != 2 || len(w.mu.ring) != 2 {
		t.Errorf("a window of 2 holds %d and %d", len(w.mu.seen), len(w.mu.ring))
	}
}
