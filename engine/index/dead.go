package index

import (
	"github.com/tidemill/tidemill/engine/record"
)

// newDead writes the row of a dead letter. Its message and its outcome count until
// it is dropped.
func (a *Applier) newDead(lsn uint64, p []byte, o *record.Outcome) error {
	d := Dead{Row: o.Row, LSN: lsn, Out: lsn, Len: uint32(len(p)), At: o.At, Status: o.Status}
	d.Tries = o.Attempt
	a.gain(lsn, d.Len)
	a.dead.open++
	return a.setDead(&d)
}

func (a *Applier) setDead(d *Dead) error {
	a.deads[DeadKey{d.User, d.LSN}] = deadChange{row: *d, live: true}
	a.key, a.val = deadKey(a.key, d.User, d.LSN), appendDead(a.val[:0], d)
	if err := a.batch.Set(a.key, a.val, nil); err != nil {
		return err
	}
	a.key, a.val = standKey(a.key, d.Place()), appendDeadKey(a.val[:0], d.User, d.LSN)
	return a.batch.Set(a.key, a.val, nil)
}

// endDead takes a dead letter's rows away.
func (a *Applier) endDead(user uint32, dead uint64, f *record.Freed) error {
	a.deads[DeadKey{user, dead}] = deadChange{}
	a.dead.open--
	a.lose(f.Message, f.MessageLen)
	a.lose(f.Outcome, f.OutcomeLen)
	a.key = standKey(a.key, f.Message) // its Place
	if err := a.batch.Delete(a.key, nil); err != nil {
		return err
	}
	a.key = deadKey(a.key, user, dead)
	return a.batch.Delete(a.key, nil)
}

func (a *Applier) dropDead(p []byte) error {
	var d record.DropDead
	if err := record.DecodeDropDead(p, &d); err != nil {
		return err
	}
	return a.endDead(d.User, d.Dead, &d.Freed)
}
