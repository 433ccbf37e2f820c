package sink

import (
	"sync"

	"github.com/cespare/xxhash/v2"
)

// window remembers the last ids that were answered with 2xx, by their hashes: of a hundred thousand
// two share one with a probability of 1 in 3,000,000,000. It is safe for concurrent use.
type window struct {
	mu struct {
		sync.Mutex
		ring []uint64
		next int
		seen map[uint64]struct{}
	}
}

// newWindow remembers n ids, about 40 bytes each; n is at least 1.
func newWindow(n int) *window {
	w := &window{}
	w.mu.ring = make([]uint64, 0, n)
	w.mu.seen = make(map[uint64]struct{})
	return w
}

// add returns whether id was in the window before. The oldest id makes room.
func (w *window) add(id string) (again bool) {
	h := xxhash.Sum64String(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, again = w.mu.seen[h]; again {
		return true
	}
	w.mu.seen[h] = struct{}{}
	if len(w.mu.ring) < cap(w.mu.ring) {
		w.mu.ring = append(w.mu.ring, h)
		return false
	}
	delete(w.mu.seen, w.mu.ring[w.mu.next])
	w.mu.ring[w.mu.next] = h
	w.mu.next = (w.mu.next + 1) % len(w.mu.ring)
	return false
}
