package index

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/record"
)

// The index counts, for each segment of the log, the bytes of the records in it
// that still count (W10, X2): pending messages, messages and outcomes of dead letters,
// and definitions of schedules, queues, flow-control keys and URL groups. Of a record
// that publishes several messages each counts for a share. Accounts and tokens are left out: they are few, and are
// copied whole.
//
// The counts say when reclaiming pays. What is moved is found by looking at every
// record, so a wrong count could cost space, never a message.

// segmentOf returns the number of the segment that holds an address.
func segmentOf(lsn uint64) uint64 { return lsn >> 32 }

// recordBytes is the space that a payload of n bytes takes in the log.
func recordBytes(n uint32) int64 { return (int64(n) + 8 + 7) &^ 7 }

// liveCounts are the counts, as the open batch will leave them.
type liveCounts struct {
	bytes map[uint64]int64 // by segment
	dirty map[uint64]struct{}
	order []uint64 // dirty ones, in the order of their change
	total int64
	seen  atomic.Int64 // total, for readers
}

func (c *liveCounts) add(lsn uint64, n int64) {
	s := segmentOf(lsn)
	c.bytes[s] += n
	c.total += n
	if _, ok := c.dirty[s]; !ok {
		c.dirty[s] = struct{}{}
		c.order = append(c.order, s)
	}
}

// gain and lose count a record of n bytes of payload at lsn in and out.
func (a *Applier) gain(lsn uint64, n uint32) {
	if a.readable(lsn) {
		a.live.add(lsn, recordBytes(n))
	}
}

func (a *Applier) lose(lsn uint64, n uint32) {
	if a.readable(lsn) && lsn != 0 {
		a.live.add(lsn, -recordBytes(n))
	}
}

// setLive writes the counts that the batch changed.
func (a *Applier) setLive() error {
	for _, s := range a.live.order {
		a.key = liveKey(a.key, s)
		var err error
		if n := a.live.bytes[s]; n != 0 {
			a.val = be.AppendUint64(a.val[:0], uint64(n))
			err = a.batch.Set(a.key, a.val, nil)
		} else {
			delete(a.live.bytes, s)
			err = a.batch.Delete(a.key, nil)
		}
		if err != nil {
			return err
		}
	}
	clear(a.live.dirty)
	a.live.order = a.live.order[:0]
	a.live.seen.Store(a.live.total)
	return nil
}

func (a *Applier) loadLive() error {
	a.live.bytes, a.live.dirty = map[uint64]int64{}, map[uint64]struct{}{}
	err := a.x.scan([]byte{kindLive}, []byte{kindLive + 1}, func(k, v []byte) error {
		if len(k) != 9 || len(v) != 8 {
			return errBadValue
		}
		n := int64(be.Uint64(v))
		a.live.bytes[be.Uint64(k[1:])] = n
		a.live.total += n
		return nil
	})
	a.live.seen.Store(a.live.total)
	return err
}

// LiveBytes returns how many bytes of the log still count, as of the last batch.
// It may be called by anyone.
func (a *Applier) LiveBytes() int64 { return a.live.seen.Load() }

// Forget drops what the index holds about addresses below first, where the log now
// begins.
func (a *Applier) Forget(first uint64) error {
	for s, n := range a.live.bytes {
		if s < segmentOf(first) {
			a.live.add(s<<32, -n) // what a count may have missed
		}
	}
	return a.deleteRange(standKey(nil, 0), standKey(nil, first))
}

// Standing walks, in log order, what the index says of the messages that were
// published into a part of the log. All that it says is of one moment: a message that
// dies while the walk goes on is pending to the end of it, and never in between. It
// is used by one goroutine and must be closed.
type Standing struct {
	moment        *pebble.Snapshot
	message, dead *pebble.Iterator
	leave         func()
}

// Standing returns a walk over [from, to).
func (x *Index) Standing(from, to uint64) (*Standing, error) {
	leave, err := x.enter()
	if err != nil {
		return nil, err
	}
	s := &Standing{leave: leave, moment: x.db.NewSnapshot()}
	s.message, err = s.moment.NewIter(&pebble.IterOptions{LowerBound: messageKey(nil, from), UpperBound: messageKey(nil, to)})
	if err == nil {
		s.dead, err = s.moment.NewIter(&pebble.IterOptions{LowerBound: standKey(nil, from), UpperBound: standKey(nil, to)})
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.message.First()
	s.dead.First()
	return s, nil
}

// At says whether the message seq is pending and stands at pos, or of which dead letter
// it is. For a record that is a copy seq is its own address, which no message has as
// its seq. Seqs must grow from call to call.
func (s *Standing) At(seq, pos uint64) (pending bool, k DeadKey, err error) {
	if pending, err = s.pending(seq, pos); pending || err != nil {
		return pending, k, err
	}
	place := max(seq, pos)
	for s.dead.Valid() && be.Uint64(s.dead.Key()[1:]) < place {
		s.dead.Next()
	}
	if s.dead.Valid() && be.Uint64(s.dead.Key()[1:]) == place {
		k, err = decodeDeadKey(s.dead.Value())
	}
	return false, k, errors.Join(err, s.dead.Error())
}

func (s *Standing) pending(seq, pos uint64) (bool, error) {
	for s.message.Valid() && be.Uint64(s.message.Key()[1:]) < seq {
		s.message.Next()
	}
	if !s.message.Valid() || be.Uint64(s.message.Key()[1:]) != seq {
		return false, s.message.Error()
	}
	var r record.Row
	err := decodeRow(s.message.Value(), &r)
	return err == nil && r.Pos == pos, err
}

// Row returns the pending row of any message.
func (s *Standing) Row(seq uint64) (r record.Row, ok bool, err error) {
	var k [16]byte
	ok, err = get(s.moment, messageKey(k[:0], seq), func(v []byte) error { return decodeRow(v, &r) })
	return r, ok, err
}

// Close ends the walk.
func (s *Standing) Close() error {
	var errs []error
	for _, it := range []*pebble.Iterator{s.message, s.dead} {
		if it != nil {
			errs = append(errs, it.Close())
		}
	}
	errs = append(errs, s.moment.Close())
	s.leave()
	return errors.Join(errs...)
}
