package engine

import (
	"slices"
	"sync"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// recent keeps the groups that were committed last. Most messages are attempted within
// milliseconds of their commit, and a copy out of memory that is at hand anyway costs a
// tenth of a read from the page cache.
type recent struct {
	mu     sync.Mutex
	groups []*wal.Group // in the log's order, each retained; from head on
	head   int
	bytes  int // of their buffers
}

// recentMax bounds the buffers that are held, bytes: some 50 ms of the highest rate. More
// would take turns in the processor's caches with what works there.
const recentMax = 2 << 20

// push takes a group over: the caller has retained it, and it is released here.
func (c *recent) push(g *wal.Group) {
	var gone [8]*wal.Group
	for _, g := range c.replace(g, gone[:0]) {
		g.Release()
	}
}

// replace adds a group and appends to gone those that it takes the place of.
func (c *recent) replace(g *wal.Group, gone []*wal.Group) []*wal.Group {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groups = append(c.groups, g)
	for c.bytes += g.Buffer(); c.bytes > recentMax; c.head++ {
		old := c.groups[c.head]
		c.groups[c.head] = nil
		c.bytes -= old.Buffer()
		gone = append(gone, old)
	}
	if c.head > len(c.groups)/2 {
		c.groups = slices.Delete(c.groups, 0, c.head)
		c.head = 0
	}
	return gone
}

// read copies the record at a row's position into buf, which it grows; ok is false if that
// is not among the last.
func (c *recent) read(row *record.Row, buf []byte) (p []byte, ok bool) {
	g := c.find(wal.LSN(row.Pos))
	if g == nil {
		return nil, false
	}
	defer g.Release()
	p, ok = g.Record(wal.LSN(row.Pos))
	return append(buf[:0], p...), ok
}

// find returns the group that may hold a record at lsn, retained, or nil.
func (c *recent) find(lsn wal.LSN) *wal.Group {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.groups[c.head:]
	i, _ := slices.BinarySearchFunc(live, lsn, func(g *wal.Group, lsn wal.LSN) int {
		if g.Start() < lsn {
			return -1
		}
		return 1
	})
	if i == 0 || live[i-1].End().LSN <= lsn {
		return nil
	}
	live[i-1].Retain()
	return live[i-1]
}
