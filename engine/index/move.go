package index

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// move applies a copy that reclaiming made (W10): a compare-and-set on the address
// that the row names. It is the one record for which the applier reads (X1).
//
// # Rebuilding from a log whose older part is gone
//
// An index that starts empty sees the log from its first address F on. What was
// published below F and still counts has been copied to an address above F, and
// that move is later in the log than anything else that names the address below F:
// the core logs outcomes and moves of one message one after the other. So, while
// rebuilding, what names a message below F changes nothing but to make a dead
// letter, and the move is what brings the message in.
func (a *Applier) move(lsn uint64, p []byte) error {
	var m record.Move
	if err := record.DecodeMove(p, &m); err != nil {
		return err
	}
	if m.What == record.MovePending {
		return a.movePending(lsn, uint32(len(p)), &m)
	}
	return a.moveDead(lsn, uint32(len(p)), &m)
}

func (a *Applier) movePending(lsn uint64, n uint32, m *record.Move) error {
	row, ok, err := a.current(m.Seq)
	switch {
	case err != nil:
		return err
	case ok && row.Pos != m.Old:
		return nil // it has moved on
	case !ok && !a.rebuilding():
		return fmt.Errorf("index: BUG: move of message %d, which has ended", m.Seq)
	case !ok && plant.Bug("rebuild-leaves-out-the-moved"):
		return nil
	case !ok: // published below F, or in records that a repair gave up
		row = m.Row
	default:
		a.lose(m.Old, m.OldLen)
	}
	a.gain(lsn, n)
	row.Pos, row.Len = lsn, n
	if a.rows.of(m.Seq) == nil { // what ends it in this batch will not look into Pebble for it
		a.deleteRow(&row, row.Pull.Published != 0)
	}
	a.add(row, ok)
	if ok {
		return nil
	}
	h, err := record.HeadOf(m.Record, m.Nonce)
	if err != nil {
		return err
	}
	return a.join(&row, h, false)
}

// current returns a message's row as the open batch has it.
func (a *Applier) current(seq uint64) (row record.Row, ok bool, err error) {
	if p := a.rows.of(seq); p != nil {
		return p.row, p.live, nil
	}
	a.key = messageKey(a.key, seq)
	ok, err = get(a.x.db, a.key, func(v []byte) error { return decodeRow(v, &row) })
	return row, ok, err
}

func (a *Applier) moveDead(lsn uint64, n uint32, m *record.Move) error {
	d, ok, err := a.currentDead(DeadKey{m.User, m.Dead})
	if err != nil {
		return err
	}
	if m.What == record.MoveDeadMessage {
		if !ok && a.rebuilding() { // the move of its outcome will bring the row
			a.lose(m.Old, m.OldLen)
			a.gain(lsn, n)
		}
		if !ok || d.Pos != m.Old {
			return nil
		}
		a.key = standKey(a.key, d.Place())
		err = a.batch.Delete(a.key, nil)
		d.Pos, d.Row.Len = lsn, n
	} else {
		if ok && d.Out != m.Old || !ok && a.readable(m.Old) {
			return nil
		}
		if !ok {
			d, err = deadOf(m) // its message was counted where it stands
		}
		d.Out, d.Len = lsn, n
	}
	if err != nil {
		return err
	}
	a.lose(m.Old, m.OldLen)
	a.gain(lsn, n)
	return a.setDead(&d)
}

// currentDead returns a dead letter's row as the open batch has it.
func (a *Applier) currentDead(k DeadKey) (d Dead, ok bool, err error) {
	if c, changed := a.deads[k]; changed {
		return c.row, c.live, nil
	}
	a.key = deadKey(a.key, k.User, k.LSN)
	ok, err = get(a.x.db, a.key, func(v []byte) error { return decodeDead(v, &d) })
	return d, ok, err
}

// deadOf returns the row of a dead letter whose outcome was below the log's first
// address.
func deadOf(m *record.Move) (Dead, error) {
	var o record.Outcome
	if err := record.DecodeOutcomeHead(m.Record, &o); err != nil {
		return Dead{}, err
	}
	return Dead{Row: m.Row, LSN: m.Dead, At: o.At, Status: o.Status}, nil
}
