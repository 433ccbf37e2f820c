package timerwheel

// node is one timer. Links are node indexes, not pointers: index 0 means none.
type node struct {
	due   uint64 // in wheel ticks, see fromTick
	value uint64
	next  uint32
	prev  uint32
	gen   uint32 // counts the uses of this node, so that an old handle finds nothing
	slot  uint32 // the list it is in, or slotFree
}

const (
	slabBits = 12
	slabSize = 1 << slabBits
	slotFree = ^uint32(0)
)

// slab is a fixed block of nodes. Growing by slabs instead of by one doubling
// slice keeps Add free of a copy of everything, and handles stay valid.
type slab [slabSize]node

func (w *Wheel) node(i uint32) *node {
	return &w.slabs[i>>slabBits][i&(slabSize-1)]
}

// alloc takes a free node, or carves a new one. Index 0 is never handed out.
func (w *Wheel) alloc() (uint32, *node) {
	if i := w.free; i != 0 {
		n := w.node(i)
		w.free = n.next
		return i, n
	}
	if w.carved == ^uint32(0) {
		panic("timerwheel: BUG: more than 2^32-2 timers")
	}
	w.carved++
	if int(w.carved>>slabBits) == len(w.slabs) {
		w.slabs = append(w.slabs, new(slab))
	}
	return w.carved, w.node(w.carved)
}

// release puts an unlinked node on the free list and voids its handle.
func (w *Wheel) release(i uint32, n *node) {
	n.gen++
	n.slot = slotFree
	n.prev = 0
	n.next = w.free
	w.free = i
	w.count--
}

// list is a doubly linked list of nodes, oldest first.
type list struct{ head, tail uint32 }

// push appends a node to the list of slot and marks the slot occupied.
func (w *Wheel) push(slot, i uint32, n *node) {
	l := &w.lists[slot]
	n.slot, n.prev, n.next = slot, l.tail, 0
	if l.tail == 0 {
		l.head = i
		w.mark(slot)
	} else {
		w.node(l.tail).next = i
	}
	l.tail = i
}

// unlink takes a node out of its list and unmarks a slot that became empty.
func (w *Wheel) unlink(n *node) {
	l := &w.lists[n.slot]
	if n.prev == 0 {
		l.head = n.next
	} else {
		w.node(n.prev).next = n.next
	}
	if n.next == 0 {
		l.tail = n.prev
	} else {
		w.node(n.next).prev = n.prev
	}
	if l.head == 0 {
		w.unmark(n.slot)
	}
}
