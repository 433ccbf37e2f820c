package bench

import (
	"math"
	"slices"
)

// confidence of an interval: it misses the true ratio in one comparison of twenty.
const confidence = 0.95

// shift estimates by which factor the values of one run differ from those of another, all
// of them positive: the median of the ratios of all pairs (Hodges and Lehmann's estimate,
// on a scale of ratios), and the interval of those ratios that the Mann-Whitney test does
// not refuse. ok is false if the rounds are too few for any interval of this confidence,
// such as three on both sides; low and high are then the range of the ratios.
//
// Why ranks and no bootstrap: a run has five rounds or so, and an outlier is the rule on a
// machine that is shared. The percentiles of a bootstrap over five values are too narrow (it
// cannot draw what it has not seen), while the distribution of ranks is exact for any number
// of rounds and any distribution. So there is no seed either, and the same two reports give
// the same answer. Interval and mark agree: it leaves out 1 exactly if the test refuses that
// both runs are alike.
func shift(before, after []float64) (middle, low, high float64, ok bool) {
	pairs := make([]float64, 0, len(before)*len(after))
	for _, b := range before {
		for _, a := range after {
			pairs = append(pairs, a/b)
		}
	}
	slices.Sort(pairs)
	middle = median(pairs)
	k := trimmed(len(before), len(after))
	if k < 0 {
		return middle, pairs[0], pairs[len(pairs)-1], false
	}
	return middle, pairs[k], pairs[len(pairs)-1-k], true
}

// trimmed is how many of the sorted ratios of all pairs lie outside of the interval on either
// side: as many as U may be at most for the test to refuse. -1: not even 0.
func trimmed(n, m int) int {
	if max(n, m) > exactMax {
		pairs := float64(n) * float64(m)
		return int(pairs/2 - 1.96*math.Sqrt(pairs*float64(n+m+1)/12) - 0.5)
	}
	ways := rankSums(n, m)
	all, below, k := 0.0, 0.0, -1
	for _, w := range ways {
		all += w
	}
	for u, w := range ways {
		below += w
		if 2*below/all > 1-confidence {
			break
		}
		k = u
	}
	return k
}

// exactMax bounds the work. Above it the normal distribution is as good.
const exactMax = 30

// rankSums is the distribution of the Mann-Whitney statistic without ties: in how many orders
// of n and m values exactly u pairs are the wrong way round, for each u up to n*m.
func rankSums(n, m int) []float64 {
	// ways[j][u], of i and j values: the greatest of all is one of the i (then it is above all
	// j) or one of the j (then it is above none).
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = make([]float64, n*m+1)
		ways[j][0] = 1 // none of the first kind
	}
	for range n {
		for j := 1; j <= m; j++ {
			next := make([]float64, n*m+1)
			for u := range next {
				next[u] = ways[j-1][u]
				if u >= j {
					next[u] += ways[j][u-j]
				}
			}
			ways[j] = next
		}
	}
	return ways[m]
}
