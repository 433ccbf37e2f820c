package engine

import (
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// DeleteDeadLetters removes the dead letters that q selects, a page of them, with the
// same group of the log or a few. It returns how many they were and the cursor of the
// rest, "" at the end. With ids, all of them are one page, and those that are not there
// count for nothing. With an error those that n counts are gone.
func (e *Engine) DeleteDeadLetters(q DeadLetterQuery) (n int, cursor string, err error) {
	rows, cursor, err := e.deadToEnd(&q)
	if err != nil {
		return 0, "", err
	}
	n, err = e.dropDeads(rows, false)
	return n, cursor, err
}

// RetryDeadLetters publishes the messages of the dead letters that q selects again, a
// page of them, as RetryDeadLetter does each, and returns the new ids and the cursor of
// the rest, "" at the end. With ids, nothing is retried if one of them is not there; one
// that another call takes meanwhile is that call's. Of those that filters select it leaves
// out what cannot be published again, because its record is damaged or it is larger than
// messages may be now: the others would never have their turn. With an error those whose
// ids are returned were retried.
func (e *Engine) RetryDeadLetters(q DeadLetterQuery, o *RetryOptions) (ids []string, cursor string, err error) {
	if err := errors.Join(e.Ready(), e.space.refusal()); err != nil {
		return nil, "", err
	}
	rows, cursor, err := e.deadToEnd(&q)
	if err == nil {
		err = allThere(&q, rows)
	}
	if err != nil {
		return nil, "", err
	}
	ids, err = e.redriveDeads(rows, o, len(q.IDs) == 0)
	if err == nil && len(ids) == 0 && len(q.IDs) > 0 {
		err = ErrNotFound
	}
	return ids, cursor, err
}

// deadToEnd collects the rows of a page. With ids nothing else counts.
func (e *Engine) deadToEnd(q *DeadLetterQuery) (rows []index.Dead, cursor string, err error) {
	if len(q.IDs) > 0 {
		*q = DeadLetterQuery{User: q.User, IDs: q.IDs}
	}
	f, err := newDeadFilter(q)
	if err != nil {
		return nil, "", err
	}
	if len(q.IDs) > 0 {
		f.count = len(q.IDs)
	}
	if err := e.catchUp(); err != nil {
		return nil, "", err
	}
	cursor, err = e.selectDead(f, false, func(d *index.Dead, _ *DeadLetter) { rows = append(rows, *d) })
	return rows, cursor, err
}

// allThere says which of the ids of a query has no row.
func allThere(q *DeadLetterQuery, rows []index.Dead) error {
	there := make(map[string]bool, len(rows))
	for i := range rows {
		there[deadID(rows[i].At, rows[i].LSN)] = true
	}
	for _, id := range q.IDs {
		if !there[id] {
			return fmt.Errorf("dead letter %.64q: %w; nothing was retried", id, ErrNotFound)
		}
	}
	return nil
}

// claimRow claims a dead letter whose row was read before, and reads the row again. ok is
// false if it is gone, or another call has it.
func (e *Engine) claimRow(d *index.Dead) (k claim, ok bool, err error) {
	k = claim{UserID(d.User), d.LSN}
	if !e.claims.take(k, &e.applier) {
		return k, false, nil
	}
	now, ok, err := e.idx.Dead(d.User, d.LSN)
	if !ok || err != nil {
		e.claims.drop(k)
		return k, false, indexError(err)
	}
	*d = now
	return k, true, nil
}

// endingDead is a dead letter whose end is logged and not durable yet.
type endingDead struct {
	claim
	ticket wal.Ticket
}

// dropDeads deletes dead letters and returns how many it deleted. The rows are read anew
// where they stand. expired says that it is for their age.
func (e *Engine) dropDeads(rows []index.Dead, expired bool) (n int, err error) {
	flags := uint16(0)
	if expired {
		flags = record.DropExpired
	}
	var ending []endingDead
	for i := range rows {
		k, ok, claimErr := e.claimRow(&rows[i])
		if err = claimErr; err != nil {
			break
		}
		if !ok {
			continue
		}
		r := record.DropDead{Flags: flags, User: rows[i].User, Dead: rows[i].LSN, Freed: rows[i].Freed()}
		p := r.Append(nil)
		t, logErr := e.log.Reserve(len(p), wal.Lazy)
		if logErr != nil {
			e.claims.drop(k)
			err = refusal(logErr)
			break
		}
		copy(t.Buf, p)
		e.log.Done(&t)
		ending = append(ending, endingDead{k, t})
	}
	for i := range ending {
		d := &ending[i]
		waitErr := e.log.Wait(&d.ticket)
		e.claims.settle(d.claim, uint64(d.ticket.LSN), waitErr)
		if waitErr == nil {
			n++
		} else if err == nil {
			err = logError(waitErr)
		}
	}
	return n, err
}

// redriveDeads publishes the messages of dead letters again and waits for all of them
// together. leave says that it leaves out those that cannot be.
func (e *Engine) redriveDeads(rows []index.Dead, o *RetryOptions, leave bool) (ids []string, err error) {
	var ending []endingDead
	var subs []submission
	for i := range rows {
		k, ok, claimErr := e.claimRow(&rows[i])
		if err = claimErr; err != nil {
			break
		}
		if !ok {
			continue
		}
		sub, logErr := e.redrive(&rows[i], o)
		if logErr != nil {
			e.claims.drop(k)
			if leave && (errors.Is(logErr, ErrDamaged) || errors.Is(logErr, ErrTooLarge)) {
				continue
			}
			err = logErr
			break
		}
		ending, subs = append(ending, endingDead{claim: k}), append(subs, sub)
	}
	for i := range subs {
		_, waitErr := e.settle(&subs[i])
		lsn := uint64(subs[i].ticket.LSN)
		e.claims.settle(ending[i].claim, lsn, waitErr)
		if waitErr == nil {
			ids = append(ids, MessageID(lsn, subs[i].nonce))
		} else if err == nil {
			err = waitErr
		}
	}
	return ids, err
}
