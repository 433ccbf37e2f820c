//go:build teeth

package engine

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/engine/plant"
)

// teethSeeds is how many seeds a planted bug may live through.
const teethSeeds = 300

// TestSimulateTeeth plants one bug after the other and wants each to be found, by the
// check of the invariant that it breaks (`make simulate-teeth`). TIDEMILL_PLANT names
// one of them.
func TestSimulateTeeth(t *testing.T) {
	if os.Getenv("TIDEMILL_TEETH") == "" {
		t.Skip("TIDEMILL_TEETH=1 runs the simulation with each planted bug")
	}
	only := os.Getenv("TIDEMILL_PLANT")
	defer plant.Set(only)
	for _, p := range simPlants {
		if only == "" || only == p.name {
			t.Run(p.finds+"/"+p.name, func(t *testing.T) { bite(t, p) })
		}
	}
}

// bite runs seeds until one fails by the invariant that the bug breaks. A seed may
// find it by another one first.
func bite(t *testing.T, b simPlant) {
	plant.Set(b.name)
	var found atomic.Bool
	var ran atomic.Int64
	others := map[string]int{}
	p := newSimPool(t, 1)
	p.start(func() bool { return !found.Load() && ran.Add(1) <= teethSeeds }, func(seed uint64, err error) {
		if by := brokenBy(err); by != b.finds {
			if others[by]++; others[by] == 1 {
				t.Logf("by %s: %v", by, err)
			}
		} else if !found.Swap(true) {
			t.Logf("found: %v", err)
		}
	})
	p.workers.Wait()
	if !found.Load() {
		t.Errorf("%d seeds ran without a failed check of %s (%s)\nsee one with TIDEMILL_PLANT=%s TIDEMILL_SIM_SEED=1 go test -tags teeth -count=1 -run '^TestSimulation$' ./engine",
			p.mu.seeds, b.finds, listed(others), b.name)
		return
	}
	t.Logf("%s finds %s within %d seeds (%s)", b.finds, b.name, p.mu.seeds, listed(others))
}

var invariantFailed = regexp.MustCompile(`^seed \d+, after \d+ crashes: (S\d+): `)

// brokenBy returns the invariant that a failure names, or how its text begins.
func brokenBy(err error) string {
	if m := invariantFailed.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	_, text, _ := strings.Cut(err.Error(), ": ")
	what, _, _ := strings.Cut(text, ":")
	return what
}

func listed(n map[string]int) string {
	if len(n) == 0 {
		return "by no other"
	}
	var out []string
	for by, times := range n {
		out = append(out, fmt.Sprintf("%d by %s", times, by))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
