package index

import (
	"unsafe"

	"github.com/tidemill/tidemill/engine/record"
)

// rows are the pending rows that the open batch will leave behind. A message that ends in
// the batch that published it is taken out again and never written (X3); another that ends
// stays until the batch ends, for what the records after it say of it.
//
// Neither map nor slots hold pointers, so the garbage collector looks at none of them.
type rows struct {
	bySeq map[uint64]uint32 // slots
	slots []pending
	free  []uint32
}

// pending is one message's rows as the open batch will leave them.
type pending struct {
	row    record.Row
	stored bool // an 'm' row of an earlier batch exists
	live   bool
	used   bool // the slot is
	life   lifetime
}

func newRows() rows { return rows{bySeq: map[uint64]uint32{}} }

// of returns a message's rows, nil if the batch has none. It is valid until the next add.
func (r *rows) of(seq uint64) *pending {
	slot, ok := r.bySeq[seq]
	if !ok {
		return nil
	}
	return &r.slots[slot]
}

// add makes room for a message's rows. They are valid until the next add.
func (r *rows) add(seq uint64) *pending {
	slot := uint32(len(r.slots))
	if n := len(r.free); n > 0 {
		slot = r.free[n-1]
		r.free = r.free[:n-1]
		r.slots[slot] = pending{}
	} else {
		r.slots = append(r.slots, pending{})
	}
	r.bySeq[seq] = slot
	p := &r.slots[slot]
	p.used = true
	return p
}

// drop forgets a message's rows.
func (r *rows) drop(p *pending) {
	seq := p.row.Seq
	p.used = false
	r.free = append(r.free, r.bySeq[seq])
	delete(r.bySeq, seq)
}

// size returns about how much memory they take, bytes.
func (r *rows) size() int { return len(r.slots) * pendingSize }

// pendingSize is that of one pending, with its entry in the map.
const pendingSize = int(unsafe.Sizeof(pending{})) + 20

func (r *rows) clear() {
	clear(r.bySeq)
	r.slots, r.free = r.slots[:0], r.free[:0]
}

// elide closes a message that was published in this batch and ended.
func (a *Applier) elide(p *pending) {
	if p.life.first.to > 0 {
		a.closeHistory(p)
	}
	a.rows.drop(p)
}

// fillRows writes the rows that the batch leaves behind, and the history of their messages.
func (a *Applier) fillRows() {
	for i := range a.rows.slots {
		p := &a.rows.slots[i]
		if !p.used {
			continue
		}
		if p.live {
			a.setRow(&p.row)
		}
		if p.life.first.to > 0 {
			a.closeHistory(p)
		}
	}
	a.rows.clear()
}

func (a *Applier) setRow(r *record.Row) {
	a.val = appendRow(a.val[:0], r)
	a.key = messageKey(a.key, r.Seq)
	a.set(a.key, a.val)
	a.key = pendingKey(a.key, r.Lane, r.Order(), r.Seq)
	a.set(a.key, a.val)
	if r.Pull.Published != 0 && r.Queue != 0 {
		a.key = pullDueKey(a.key, r.Host, r.Due, r.Seq)
		a.set(a.key, a.val)
	}
}
