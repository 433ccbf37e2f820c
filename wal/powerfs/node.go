package powerfs

import "slices"

// node is a file or a directory.
type node struct {
	// a directory:
	names   map[string]*node // as the running system sees it
	durable map[string]*node // as the disk has it
	pending []change         // between the two, in order

	// a file:
	cache, disk []byte
	shared      bool     // another node may hold the same memory: see own
	dirty       []uint64 // a bit per sector of cache that a sync would write

	path string // where it was last created, opened or renamed to, for Fault
}

const sector = 512

// change is one change of names, atomic as a journal makes it.
type change func(names map[string]*node)

func newDir() *node {
	return &node{names: map[string]*node{}, durable: map[string]*node{}}
}

func (n *node) isDir() bool { return n.names != nil }

func (n *node) apply(c change) {
	c(n.names)
	n.pending = append(n.pending, c)
}

// used returns the bytes of all files below a directory, or of a file.
func (n *node) used() int64 {
	sum := int64(len(n.cache))
	for _, child := range n.names {
		sum += child.used()
	}
	return sum
}

func words(n int) int { return n/sector/64 + 1 }

func (n *node) isDirty(s int) bool { return s/64 < len(n.dirty) && n.dirty[s/64]&(1<<(s%64)) != 0 }

func writeAt(dst, src []byte, off int) []byte {
	if end := off + len(src); end > len(dst) {
		if end > cap(dst) {
			dst = append(make([]byte, 0, max(end, 2*cap(dst))), dst...)
		}
		dst = dst[:end]
	}
	copy(dst[off:], src)
	return dst
}

// own gives the node memory of its own before the first write. What Cut returns
// shares what was clean: a test that cuts a disk ten thousand times pays for the
// few files that are written to afterwards.
func (n *node) own() {
	if n.shared {
		n.cache, n.disk, n.shared = slices.Clone(n.cache), slices.Clone(n.disk), false
	}
}

func (n *node) write(p []byte, off int) {
	n.own()
	old := len(n.cache)
	n.cache = writeAt(n.cache, p, off)
	for w := words(len(n.cache)); len(n.dirty) < w; {
		n.dirty = append(n.dirty, 0)
	}
	for s := min(off, old) / sector; s*sector < off+len(p); s++ {
		n.dirty[s/64] |= 1 << (s % 64)
	}
}

// sync moves what is dirty to the disk, or nowhere when it fails. A node with
// dirty sectors shares no memory.
func (n *node) sync(fails bool) {
	for s := 0; s*sector < len(n.cache); s++ {
		if n.isDirty(s) && !fails {
			n.disk = writeAt(n.disk, n.cache[s*sector:min((s+1)*sector, len(n.cache))], s*sector)
		}
	}
	clear(n.dirty)
}
