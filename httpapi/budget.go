package httpapi

import "sync/atomic"

// budget bounds the body bytes that all requests hold together. Nobody waits
// for it: what does not fit is refused, so that overload is told at once.
type budget struct {
	most atomic.Int64
	used atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) <= b.most.Load() {
		return true
	}
	b.used.Add(-int64(n))
	return false
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// spare says whether there is enough left to begin what takes more later.
func (b *budget) spare() bool {
	most := b.most.Load()
	return b.used.Load() < most-most/4
}
