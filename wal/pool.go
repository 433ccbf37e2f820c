package wal

import "sync"

// Group buffers come in sizes that double. A log with one producer fills a kilobyte
// per group and thousands of groups per second, which readers may retain for a
// while: a buffer of 1 MiB for each would be the largest user of memory in the
// process. So the size follows the traffic (bufferSize).
const (
	bufferClasses  = 7
	bufferClassMin = 16 << 10 // then 32 KiB, up to 1 MiB

	poolBytesMax = 16 << 20 // what the pool keeps; the rest is left to the collector
)

func classSize(class int) int { return bufferClassMin << class }

// classFor returns the smallest class of at least n bytes, or the largest.
func classFor(n int) int {
	class := 0
	for class < bufferClasses-1 && classSize(class) < n {
		class++
	}
	return class
}

// bufferSize is the class of the next group's buffer: that of the largest of the last
// classGroups groups, or the next one up at once when that was too small. The groups of
// many producers differ by a factor of two and more from one commit to the next. A buffer
// after the last one's size is too small for every fourth, which is then written in two;
// one that suits them all lets what keeps groups by their buffers (Group.Buffer) keep few.
// Guarded by Log.mu.
type bufferSize struct {
	class   int
	largest int // bytes, of the groups since the class was last looked at
	groups  int
}

// classGroups is how many groups in a row may be begun in a larger buffer than they need.
const classGroups = 16

// bufferSlack is how many times what it holds the buffer of a committed group may be, above
// the smallest class: readers that lag retain it, and publishes are refused by what they
// retain. A larger one is exchanged (groupPool.fit).
const bufferSlack = 4

// used notes the bytes of a group that was closed with room left.
func (s *bufferSize) used(n int) {
	s.largest = max(s.largest, n)
	if s.groups++; s.groups >= classGroups {
		*s = bufferSize{class: min(s.class, classFor(s.largest))}
	}
}

// full notes that a group was closed for want of room.
func (s *bufferSize) full() {
	class := min(s.class+1, bufferClasses-1)
	*s = bufferSize{class: class, largest: classSize(class)}
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

// fit exchanges the buffer of a closed and filled group, which nobody else sees yet, for one
// of the size that it needs if its own is much larger.
func (p *groupPool) fit(g *Group) {
	need := alignUp(g.n, groupAlign) + pageSize // seal, toPage
	if len(g.buf) <= bufferSlack*need || len(g.buf) <= bufferClassMin {
		return
	}
	small := p.get(need)
	copy(small.buf, g.buf[:g.n])
	g.buf, small.buf = small.buf, g.buf
	p.put(small)
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
