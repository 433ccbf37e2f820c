package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// lanesRun is a run of n pending rows of so many lanes, each due later than the one
// before it, except one in late.
func lanesRun(rng *rand.Rand, n, lanes, late int) *run {
	r := new(run)
	for i := range n {
		lane := uint64(rng.IntN(lanes)) * 0x9e3779b97f4a7c15
		due := int64(i / 5)
		if late > 0 && rng.IntN(late) == 0 {
			due = rng.Int64N(int64(n))
		}
		r.add(pendingKey(nil, lane, due, uint64(i)), []byte("value"), false)
	}
	return r
}

// TestRunSort: whichever way a run is sorted, the result is that of sorting all rows, with
// rows of one key in the order in which they came; and the sorter takes any run after any
// other.
func TestRunSort(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	var s runSorter
	for range 300 {
		r := lanesRun(rng, rng.IntN(400), 1+rng.IntN(60), rng.IntN(4))
		for range rng.IntN(20) { // keys that are there already
			again := r.rows[rng.IntN(max(len(r.rows), 1)):]
			if len(again) > 0 {
				r.add(slices.Clone(r.buf[again[0].key:again[0].val]), nil, true)
			}
		}
		want := slices.Clone(r.rows)
		slices.SortFunc(want, r.compare)
		if s.sort(r); !slices.Equal(r.rows, want) {
			t.Fatalf("seed %d: %d rows, %d of them or more in another order", seed, len(want), firstDifference(r.rows, want))
		}
	}
}

func firstDifference(a, b []runRow) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// BenchmarkRunSort is what the order of one pending row costs: of a batch's, in lanes, each
// in order of time or not.
func BenchmarkRunSort(b *testing.B) {
	const rows = 13_000
	for _, lanes := range []int{1, 32, 1000, 1_000_000} {
		for _, late := range []int{0, 1} {
			b.Run(fmt.Sprintf("lanes=%d/random=%t", lanes, late == 1), func(b *testing.B) {
				r := lanesRun(rand.New(rand.NewPCG(1, 2)), rows, lanes, late)
				from := slices.Clone(r.rows)
				b.ReportAllocs()
				for b.Loop() {
					copy(r.rows, from)
					r.sorter.sort(r)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
	}
}
