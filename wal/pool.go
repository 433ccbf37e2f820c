package wal

import "sync"

// Group buffers come in seven sizes. A log with one producer fills a kilobyte
// per group and thousands of groups per second, which readers may retain for a
// while: a buffer of 1 MiB for each would be the largest user of memory in the
// process. So the size follows the traffic (Log.openGroupLocked), each twice the
// one before: with sizes of 16, 128 and 1,024 KiB groups of 70 KiB stood in buffers
// of 1 MiB, and readers that lagged by 5 MiB of log held 64 MiB of memory.
const (
	bufferClasses  = 7
	bufferClassMin = 16 << 10 // the largest is 1 MiB
	classShift     = 1

	poolBytesMax = 16 << 20 // what the pool keeps; the rest is left to the collector
)

func classSize(class int) int { return bufferClassMin << (classShift * class) }

// classFor returns the smallest class of at least n bytes, or the largest.
func classFor(n int) int {
	class := 0
	for class < bufferClasses-1 && classSize(class) < n {
		class++
	}
	return class
}

// groupPool keeps groups with their buffers for reuse. Safe for concurrent
// use; its lock is a leaf.
type groupPool struct {
	mu struct {
		sync.Mutex
		free  [bufferClasses][]*Group
		bytes int
	}
}

// get returns a group with a buffer of at least size bytes and nothing else set.
// Buffers above the largest class are made for the occasion.
func (p *groupPool) get(size int) *Group {
	class := classFor(size)
	if size > classSize(class) {
		return newGroup(alignUp(size, groupAlign))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.mu.free[class]
	if len(free) == 0 {
		return newGroup(classSize(class))
	}
	g := free[len(free)-1]
	p.mu.free[class] = free[:len(free)-1]
	p.mu.bytes -= len(g.buf)
	return g
}

func newGroup(size int) *Group {
	return &Group{buf: make([]byte, size), filled: make(chan struct{}, 1)}
}

// put takes back a group that nobody refers to.
func (p *groupPool) put(g *Group) {
	class := classFor(len(g.buf))
	if len(g.buf) != classSize(class) {
		return
	}
	g.seg, g.done = nil, nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.bytes+len(g.buf) > poolBytesMax {
		return
	}
	p.mu.free[class] = append(p.mu.free[class], g)
	p.mu.bytes += len(g.buf)
}
