package index

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// A message becomes pending by a record of its own, as a member of a fan-out, or as a
// callback in the outcome that it reports. Its seq is the record's address, plus its
// number in a fan-out, plus one and its number among callbacks; its row finds it in the
// record by the nonce.

// message applies a record that publishes one message.
func (a *Applier) message(lsn uint64, p []byte) error {
	h, err := record.HeadOfMessage(p)
	if err != nil {
		return err
	}
	if h.Report() {
		return fmt.Errorf("%w: a callback outside of an outcome", record.ErrUnknown)
	}
	r := record.Row{Nonce: h.Nonce(), Seq: lsn, Pos: lsn, Len: uint32(len(p)), Lane: h.Lane(), Host: h.Host()}
	if err := a.publish(&r, h, nil); err != nil {
		return err
	}
	return a.special(&r, h, nil)
}

// fanout applies a record that publishes a message to several destinations. What is
// special about the message counts once.
func (a *Applier) fanout(lsn uint64, p []byte) error {
	a.members = a.members[:0]
	h, err := record.EachMember(p, func(_ int, m *record.MemberHead) error {
		a.members = append(a.members, *m)
		return nil
	})
	if err != nil {
		return err
	}
	row := func(n int) record.Row {
		m := &a.members[n]
		return record.Row{Nonce: m.Nonce, Seq: lsn + uint64(n), Pos: lsn, Len: m.Share, Lane: m.Lane, Host: m.Host}
	}
	for n := range a.members {
		if n > 0 && n == len(a.members)-1 && plant.Bug("member-in-no-row") {
			break
		}
		r := row(n)
		if err := a.publish(&r, h, &a.members[n]); err != nil {
			return err
		}
	}
	r := row(0)
	return a.special(&r, h, a.members)
}

// callbacks applies the messages that an outcome publishes.
func (a *Applier) callbacks(lsn uint64, p []byte) error {
	return record.EachCallback(p, func(n int, h record.MessageHead, _ []byte) error {
		r := record.Row{
			Nonce: h.Nonce(), Seq: lsn + 1 + uint64(n), Pos: lsn, Len: record.CallbackShare(p), Lane: h.Lane(), Host: h.Host(),
		}
		if err := a.publish(&r, h, nil); err != nil {
			return err
		}
		return a.special(&r, h, nil)
	})
}

// publish makes a message pending. It completes the row by what h says; member is not
// nil if h is of what a fan-out's members share.
func (a *Applier) publish(r *record.Row, h record.MessageHead, member *record.MemberHead) (err error) {
	r.User, r.Due = h.User(), h.Due()
	if r.Line, err = h.Line(); err != nil {
		return err
	}
	r.Pull = h.Pull()
	if err := a.published(a.add(*r, false), h, member); err != nil {
		return err
	}
	a.gain(r.Pos, r.Len)
	if err := a.join(r, h, true); err != nil {
		return err
	}
	a.countPublish(r.User, h.Created())
	return nil
}

// special applies what only some messages have: a tick, a dead letter that they end,
// an id under which they are known. r is the row, of a fan-out that of the first member.
func (a *Applier) special(r *record.Row, h record.MessageHead, members []record.MemberHead) error {
	dedup, fromDead, err := h.Special()
	if err != nil {
		return err
	}
	if err := a.messageTick(r.Seq, r.Nonce, h); err != nil {
		return err
	}
	if fromDead.Dead != 0 {
		if err := a.endDead(h.User(), fromDead.Dead, &fromDead.Freed); err != nil {
			return err
		}
	}
	if dedup == [16]byte{} {
		return nil
	}
	kind := byte(dedupMessage)
	if members != nil {
		kind = dedupFanout
	}
	val := appendDedupMembers(appendDedup(a.val[:0], kind, r.Seq, r.Nonce, h.Created()), members)
	a.val = val
	return a.dedup(h.User(), &dedup, h.Created(), val)
}

// join counts a message in that has become pending, or is known to be since now:
// published says which.
func (a *Applier) join(r *record.Row, h record.MessageHead, published bool) error {
	a.lane(r.Lane).Count++
	a.pend(r.User, 1)
	if r.Pull.Published != 0 {
		return a.joinPull(r, h, published)
	}
	if r.Line == (record.Line{}) {
		return nil
	}
	names, err := h.LineNames()
	if err != nil {
		return err
	}
	if r.Queue != 0 {
		a.joinQueue(r, &names, h.Created())
	}
	if r.Flow != 0 {
		a.joinFlow(r, &names)
	}
	return nil
}

// part counts a message out that has ended.
func (a *Applier) part(r *record.Row) {
	if l := a.lane(r.Lane); l.Count > 0 {
		l.Count--
	}
	a.pend(r.User, -1)
	if q := a.queues[r.Queue]; q != nil && q.Count > 0 {
		q.Count--
		a.touchQueue(q)
	}
	if f := a.flows[r.Flow]; f != nil && f.Count > 0 {
		f.Count--
		a.touchFlow(f)
	}
}
