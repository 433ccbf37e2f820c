package index

import (
	"encoding/binary"
	"errors"

	"github.com/tidemill/tidemill/engine/record"
)

var be = binary.BigEndian

const (
	kindApplied  = 'a'
	kindSchedule = 'c'
	kindDedup    = 'd'
	kindEvent    = 'e'
	kindFlow     = 'f' // a flow-control key
	kindGroup    = 'g' // a URL group
	kindHistory  = 'h'
	kindJob      = 'j' // a replay of delivered messages
	kindTick     = 'k' // how far a schedule has come
	kindLane     = 'l'
	kindMessage  = 'm'
	kindLastUser = 'n' // the newest deletion of an account
	kindToken    = 'o' // a token of an account
	kindPending  = 'p'
	kindDead     = 'q'
	kindPull     = 'P' // a pull queue
	kindPullDue  = 'D' // a message with a group in one, by when it is due
	kindRebuild  = 'r' // where the log began when a rebuild began that is not over
	kindLive     = 's' // a segment's live bytes
	kindTime     = 't'
	kindUser     = 'u'
	kindQueue    = 'w' // a queue
	kindStand    = 'x' // where the message of a dead letter stands
	kindStats    = 'z' // what was counted of accounts
)

// layout is the version of keys and values. An index of another layout is
// rebuilt from the log.
const layout = 5

// Layout is the version of the index that is read and written.
const Layout = layout

var errBadValue = errors.New("index: value of a wrong length")

func dedupKey(dst []byte, bucket uint64, user uint32, hash *[16]byte) []byte {
	dst = append(dst[:0], kindDedup)
	dst = be.AppendUint64(dst, bucket)
	dst = be.AppendUint32(dst, user)
	return append(dst, hash[:]...)
}

func laneKey(dst []byte, lane uint64) []byte {
	return be.AppendUint64(append(dst[:0], kindLane), lane)
}

func messageKey(dst []byte, seq uint64) []byte {
	return be.AppendUint64(append(dst[:0], kindMessage), seq)
}

// pendingKey takes the order in which a row stands in its lane (record.Row.Order).
func pendingKey(dst []byte, lane uint64, order int64, seq uint64) []byte {
	dst = be.AppendUint64(append(dst[:0], kindPending), lane)
	dst = be.AppendUint64(dst, uint64(order))
	return be.AppendUint64(dst, seq)
}

func deadKey(dst []byte, user uint32, lsn uint64) []byte {
	dst = be.AppendUint32(append(dst[:0], kindDead), user)
	return be.AppendUint64(dst, lsn)
}

func liveKey(dst []byte, segment uint64) []byte {
	return be.AppendUint64(append(dst[:0], kindLive), segment)
}

func standKey(dst []byte, lsn uint64) []byte {
	return be.AppendUint64(append(dst[:0], kindStand), lsn)
}

// DeadKey names a dead letter.
type DeadKey struct {
	User uint32
	LSN  uint64
}

func appendDeadKey(dst []byte, user uint32, lsn uint64) []byte {
	return be.AppendUint64(be.AppendUint32(dst, user), lsn)
}

func decodeDeadKey(v []byte) (DeadKey, error) {
	if len(v) != 12 {
		return DeadKey{}, errBadValue
	}
	return DeadKey{User: be.Uint32(v), LSN: be.Uint64(v[4:])}, nil
}

func historyKey(dst []byte, lsn uint64) []byte {
	return be.AppendUint64(append(dst[:0], kindHistory), lsn)
}

// eventKey is where a message's later history rows are found.
func eventKey(dst []byte, day uint32, seq, lsn uint64) []byte {
	dst = be.AppendUint32(append(dst[:0], kindEvent), day)
	return be.AppendUint64(be.AppendUint64(dst, seq), lsn)
}

// timeKey is of a second, unix s. The sign is turned round so that keys sort.
func timeKey(dst []byte, second int64) []byte {
	return be.AppendUint64(append(dst[:0], kindTime), uint64(second)^1<<63)
}

func secondOf(key []byte) int64 { return int64(be.Uint64(key[1:]) ^ 1<<63) }

func userKey(dst []byte, user uint32) []byte {
	return be.AppendUint32(append(dst[:0], kindUser), user)
}

// namedKey is of what an account has under a name. The name ends the key, so that what
// one account has lies together, in the order of names.
func namedKey(dst []byte, kind byte, user uint32, name []byte) []byte {
	return append(be.AppendUint32(append(dst[:0], kind), user), name...)
}

// namedRange bounds what an account has of one kind.
func namedRange(kind byte, user uint32) (lower, upper []byte) {
	if user == ^uint32(0) {
		return namedKey(nil, kind, user, nil), []byte{kind + 1}
	}
	return namedKey(nil, kind, user, nil), namedKey(nil, kind, user+1, nil)
}

// Cursor is a place among a lane's pending rows: they are ordered by Due, then by seq.
type Cursor struct {
	Due int64 // record.Row.Order: when the message is due or, in a queue, its turn
	Seq uint64
}

// Before says whether c comes before d.
func (c Cursor) Before(d Cursor) bool {
	return c.Due < d.Due || c.Due == d.Due && c.Seq < d.Seq
}

func pendingCursor(key []byte) Cursor {
	return Cursor{Due: int64(be.Uint64(key[9:])), Seq: be.Uint64(key[17:])}
}

// rowSize is the length of a row that is nothing but that. Its last byte says what
// follows: a line, and what a message of a pull queue has, with its length before it.
const (
	rowSize  = 4 + 8*6 + 4 + 2 + 1
	lineSize = 8 * 3

	rowLine = 1 << 0
	rowPull = 1 << 1
)

// appendRow encodes a row. It repeats what the key holds: one layout for both
// kinds of key, and a value can be read without its key.
func appendRow(dst []byte, r *record.Row) []byte {
	dst = be.AppendUint32(dst, r.User)
	dst = be.AppendUint64(dst, r.Nonce)
	dst = be.AppendUint64(dst, r.Seq)
	dst = be.AppendUint64(dst, r.Pos)
	dst = be.AppendUint64(dst, r.Lane)
	dst = be.AppendUint64(dst, r.Host)
	dst = be.AppendUint64(dst, uint64(r.Due))
	dst = be.AppendUint32(dst, r.Len)
	dst = be.AppendUint16(dst, r.Tries)
	parts := len(dst)
	dst = append(dst, 0)
	if r.Line != (record.Line{}) {
		dst[parts] |= rowLine
		dst = be.AppendUint64(be.AppendUint64(be.AppendUint64(dst, r.Queue), r.Root), r.Flow)
	}
	if r.Pull != (record.Pull{}) {
		dst[parts] |= rowPull
		size := len(dst)
		dst = r.Pull.Put(append(dst, 0))
		dst[size] = byte(len(dst) - size - 1)
	}
	return dst
}

func decodeRow(v []byte, r *record.Row) error {
	rest, err := cutRow(v, r)
	if err == nil && len(rest) > 0 {
		err = errBadValue
	}
	return err
}

// cutRow decodes the row that a value begins with, and returns the rest.
func cutRow(v []byte, r *record.Row) (rest []byte, err error) {
	if len(v) < rowSize {
		return nil, errBadValue
	}
	*r = record.Row{
		User: be.Uint32(v), Nonce: be.Uint64(v[4:]), Seq: be.Uint64(v[12:]), Pos: be.Uint64(v[20:]),
		Lane: be.Uint64(v[28:]), Host: be.Uint64(v[36:]), Due: int64(be.Uint64(v[44:])),
		Len: be.Uint32(v[52:]), Tries: be.Uint16(v[56:]),
	}
	parts, v := v[58], v[rowSize:]
	if parts&^(rowLine|rowPull) != 0 {
		return nil, errBadValue
	}
	if parts&rowLine != 0 {
		if len(v) < lineSize {
			return nil, errBadValue
		}
		r.Line = record.Line{Queue: be.Uint64(v), Root: be.Uint64(v[8:]), Flow: be.Uint64(v[16:])}
		v = v[lineSize:]
	}
	if parts&rowPull == 0 {
		return v, nil
	}
	if len(v) == 0 || len(v) < 1+int(v[0]) {
		return nil, errBadValue
	}
	n := 1 + int(v[0])
	return v[n:], r.Pull.Get(v[1:n])
}

// Dead is a dead letter's row: where its message and its last outcome stand.
type Dead struct {
	record.Row
	LSN    uint64 // of the outcome that made it one: its name
	Out    uint64 // where that outcome's record stands now
	Len    uint32 // of the payload there
	At     int64  // unix ms
	Status uint16
}

// Place is the address by which the walk over the log finds the message's record
// (Standing): a record that several messages share is at one Pos, and they are told
// apart by their seq, which is not below it. A copy stands above every seq.
func (d *Dead) Place() uint64 { return max(d.Pos, d.Seq) }

// Freed says what the end of the dead letter frees. Its Message is Place, which is in
// the record's segment.
func (d *Dead) Freed() record.Freed {
	return record.Freed{Message: d.Place(), MessageLen: d.Row.Len, Outcome: d.Out, OutcomeLen: d.Len}
}

// deadSize is the length of what follows the row.
const deadSize = 8 + 8 + 4 + 8 + 2

func appendDead(dst []byte, d *Dead) []byte {
	dst = appendRow(dst, &d.Row)
	dst = be.AppendUint64(dst, d.LSN)
	dst = be.AppendUint64(dst, d.Out)
	dst = be.AppendUint32(dst, d.Len)
	dst = be.AppendUint64(dst, uint64(d.At))
	return be.AppendUint16(dst, d.Status)
}

func decodeDead(v []byte, d *Dead) error {
	v, err := cutRow(v, &d.Row)
	if err != nil {
		return err
	}
	if len(v) != deadSize {
		return errBadValue
	}
	d.LSN, d.Out, d.Len = be.Uint64(v), be.Uint64(v[8:]), be.Uint32(v[16:])
	d.At, d.Status = int64(be.Uint64(v[20:])), be.Uint16(v[28:])
	return nil
}

// Lane is a lane's summary.
type Lane struct {
	ID    uint64
	Count uint64 // pending messages
	First int64  // no pending row of the lane is before it, by record.Row.Order

	// What the messages of the lane have in common (record.Line), 0 if nothing. Those of
	// a queue may differ by their flow-control keys, so its lanes have none.
	Queue, Flow uint64
}

const (
	laneSize     = 16
	laneLineSize = 16 // of a lane with Queue or Flow
)

func appendLane(dst []byte, l *Lane) []byte {
	dst = be.AppendUint64(be.AppendUint64(dst, l.Count), uint64(l.First))
	if l.Queue == 0 && l.Flow == 0 {
		return dst
	}
	return be.AppendUint64(be.AppendUint64(dst, l.Queue), l.Flow)
}

func decodeLane(key, v []byte) (Lane, error) {
	if len(key) != 9 || len(v) != laneSize && len(v) != laneSize+laneLineSize {
		return Lane{}, errBadValue
	}
	l := Lane{ID: be.Uint64(key[1:]), Count: be.Uint64(v), First: int64(be.Uint64(v[8:]))}
	if len(v) > laneSize {
		l.Queue, l.Flow = be.Uint64(v[laneSize:]), be.Uint64(v[laneSize+8:])
	}
	return l, nil
}

// Position is how far the index has applied the log: a group boundary.
type Position struct {
	Log   [16]byte // the log's identity
	LSN   uint64
	Chain uint32
}

func appendPosition(dst []byte, p *Position) []byte {
	dst = be.AppendUint32(dst, layout)
	dst = append(dst, p.Log[:]...)
	dst = be.AppendUint64(dst, p.LSN)
	return be.AppendUint32(dst, p.Chain)
}

func decodePosition(v []byte, p *Position) error {
	if len(v) != 32 {
		return errBadValue
	}
	if got := be.Uint32(v); got != layout {
		return &LayoutError{Found: got}
	}
	copy(p.Log[:], v[4:])
	p.LSN, p.Chain = be.Uint64(v[20:]), be.Uint32(v[28:])
	return nil
}
