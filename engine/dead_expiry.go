package engine

import (
	"errors"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/engine/index"
)

// Dead letters are kept for Limits.DeadAge from their end, or for ever. An expiry is no
// silent loss: its record says that it is one, it is counted (Stats), and each round that
// finds any tells the operator. It frees space, so it goes on while the disk is full, as
// long as the log's reserve has room.

// expireBatch is how many share a group of the log, and the memory that a round takes.
const expireBatch = 1000

// expireLoop deletes the dead letters that are too old. One may be kept for the time
// between two rounds longer.
func (e *Engine) expireLoop() {
	for {
		wait := e.opts.expireEvery
		if age := e.limits.Load().DeadAge; age > 0 {
			wait = min(wait, age/16)
		}
		select {
		case <-e.stop:
			return
		case <-time.After(wait):
		}
		e.expireRound(e.limits.Load().DeadAge)
	}
}

func (e *Engine) expireRound(age time.Duration) {
	n, err := e.expireDead(age)
	if n > 0 {
		e.opts.Logger.Warn("engine: dead letters have expired; retention.dlq says how long they are kept",
			slog.Int("count", n), slog.Duration("after", age))
	}
	if err != nil && !errors.Is(err, ErrDiskFull) && !e.stopping() && e.fatalErr.Load() == nil {
		e.opts.Logger.Error("engine: old dead letters could not be deleted; it is tried again", slog.Any("error", err), slog.Duration("in", e.opts.expireEvery))
	}
}

// expireDead deletes what is older than an age, of all accounts, and returns how many dead
// letters it was. Below zero it is for ever.
func (e *Engine) expireDead(age time.Duration) (n int, err error) {
	if age < 0 {
		return 0, nil
	}
	if err := e.catchUp(); err != nil {
		return 0, err
	}
	before := e.wallMillis() - age.Milliseconds()
	for _, a := range e.Accounts() {
		dropped, err := e.expireOf(a.ID, before)
		if n += dropped; err != nil {
			return n, err
		}
	}
	return n, nil
}

// expireOf deletes an account's dead letters that ended before a time, unix ms.
func (e *Engine) expireOf(u UserID, before int64) (n int, err error) {
	for more := true; more && !e.stopping(); {
		var rows []index.Dead
		if rows, more, err = e.oldDead(u, before); err != nil || len(rows) == 0 {
			return n, err
		}
		dropped, err := e.dropDeads(rows, true)
		n += dropped
		e.deadExpired.Add(uint64(dropped))
		if err != nil || dropped == 0 { // all of them are somebody else's just now
			return n, err
		}
		if err := e.catchUp(); err != nil { // the next look must not find them again
			return n, err
		}
	}
	return n, nil
}

// oldDead returns the oldest dead letters of an account that ended before a time, unix
// ms. They lie in the order in which they ended: the first that did not ends the search.
func (e *Engine) oldDead(u UserID, before int64) (rows []index.Dead, more bool, err error) {
	err = e.idx.DeadLetters(uint32(u), 0, false, func(d *index.Dead) (bool, error) {
		if d.At >= before {
			return false, nil
		}
		if more = len(rows) == expireBatch; !more {
			rows = append(rows, *d)
		}
		return !more, nil
	})
	return rows, more, indexError(err)
}
