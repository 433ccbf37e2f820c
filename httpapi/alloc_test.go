//go:build !race

package httpapi

import "testing"

// TestPublishDoesNotAllocate: neither a usual publish nor one of a queue and a
// flow-control key leaves garbage on the wire's side.
func TestPublishDoesNotAllocate(t *testing.T) {
	for name, raw := range map[string][]byte{"usual": benchRequest(), "line": lineRequest()} {
		// A collection that empties the pools in mid-run costs some; one an exchange would be 1.
		if got := testing.AllocsPerRun(1000, exchanger(t, raw)); got >= 1 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
