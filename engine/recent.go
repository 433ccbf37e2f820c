package engine

import (
	"slices"
	"sync"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// recent keeps copies of the groups that were committed last, but for those that came when
// nothing was due. Most messages are attempted within milliseconds of their commit, and a
// copy out of memory that is at hand anyway costs a tenth of a read from the page cache. The
// groups themselves are not kept: their buffers are filled to a seventh, and are to be
// filled again while the processor has them in its caches.
type recent struct {
	mu     sync.Mutex
	ring   []byte        // recentMax of them, from the first group on
	at     int           // where the next copy begins
	groups []recentGroup // in the log's order, and in that of the ring; from head on
	head   int
}

// recentGroup is a group's copy and where in the ring it begins.
type recentGroup struct {
	wal.GroupCopy
	at int
}

// recentMax is how many bytes of groups are kept: 50 ms and more of the highest rate.
const recentMax = 4 << 20

// push copies a group, which follows those before it in the log. One that would take the
// place of many others is left out.
func (c *recent) push(g *wal.Group) {
	n := g.CopySize()
	if n > recentMax/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ring == nil {
		c.ring = make([]byte, recentMax)
	}
	if c.at+n > recentMax {
		c.evict(c.at, recentMax)
		c.at = 0
	}
	c.evict(c.at, c.at+n)
	c.groups = append(c.groups, recentGroup{g.CopyTo(c.ring[c.at : c.at+n]), c.at})
	c.at += n
}

// evict gives up the oldest groups, as long as they begin between from and to.
func (c *recent) evict(from, to int) {
	for c.head < len(c.groups) && c.groups[c.head].at >= from && c.groups[c.head].at < to {
		c.head++
	}
	if c.head > len(c.groups)/2 {
		c.groups = slices.Delete(c.groups, 0, c.head)
		c.head = 0
	}
}

// read copies the record at a row's position into buf, which it grows; ok is false if that
// is not among the last.
func (c *recent) read(row *record.Row, buf []byte) (p []byte, ok bool) {
	lsn := wal.LSN(row.Pos)
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.groups[c.head:]
	i, _ := slices.BinarySearchFunc(live, lsn, func(g recentGroup, lsn wal.LSN) int {
		if g.Start() < lsn {
			return -1
		}
		return 1
	})
	if i == 0 {
		return nil, false
	}
	p, ok = live[i-1].Record(lsn)
	return append(buf[:0], p...), ok
}
