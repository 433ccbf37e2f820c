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
	kindHistory  = 'h'
	kindTick     = 'k' // how far a schedule has come
	kindLane     = 'l'
	kindMessage  = 'm'
	kindPending  = 'p'
	kindDead     = 'q'
	kindRebuild  = 'r' // where the log began when a rebuild began that is not over
	kindLive     = 's' // a segment's live bytes
	kindTime     = 't'
	kindUser     = 'u'
	kindStand    = 'x' // where the message of a dead letter stands
)

// layout is the version of keys and values. An index of another layout is
// rebuilt from the log.
const layout = 3

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

func pendingKey(dst []byte, lane uint64, due int64, seq uint64) []byte {
	dst = be.AppendUint64(append(dst[:0], kindPending), lane)
	dst = be.AppendUint64(dst, uint64(due))
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

// Cursor is a place among a lane's pending rows: they are ordered by due time,
// then by seq.
type Cursor struct {
	Due int64
	Seq uint64
}

// Before says whether c comes before d.
func (c Cursor) Before(d Cursor) bool {
	return c.Due < d.Due || c.Due == d.Due && c.Seq < d.Seq
}

func pendingCursor(key []byte) Cursor {
	return Cursor{Due: int64(be.Uint64(key[9:])), Seq: be.Uint64(key[17:])}
}

const rowSize = 4 + 8*6 + 4 + 2

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
	return be.AppendUint16(dst, r.Tries)
}

func decodeRow(v []byte, r *record.Row) error {
	if len(v) < rowSize {
		return errBadValue
	}
	*r = record.Row{
		User: be.Uint32(v), Nonce: be.Uint64(v[4:]), Seq: be.Uint64(v[12:]), Pos: be.Uint64(v[20:]),
		Lane: be.Uint64(v[28:]), Host: be.Uint64(v[36:]), Due: int64(be.Uint64(v[44:])),
		Len: be.Uint32(v[52:]), Tries: be.Uint16(v[56:]),
	}
	return nil
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

// Freed says what the end of the dead letter frees.
func (d *Dead) Freed() record.Freed {
	return record.Freed{Message: d.Pos, MessageLen: d.Row.Len, Outcome: d.Out, OutcomeLen: d.Len}
}

const deadSize = rowSize + 8 + 8 + 4 + 8 + 2

func appendDead(dst []byte, d *Dead) []byte {
	dst = appendRow(dst, &d.Row)
	dst = be.AppendUint64(dst, d.LSN)
	dst = be.AppendUint64(dst, d.Out)
	dst = be.AppendUint32(dst, d.Len)
	dst = be.AppendUint64(dst, uint64(d.At))
	return be.AppendUint16(dst, d.Status)
}

func decodeDead(v []byte, d *Dead) error {
	if len(v) != deadSize {
		return errBadValue
	}
	if err := decodeRow(v, &d.Row); err != nil {
		return err
	}
	v = v[rowSize:]
	d.LSN, d.Out, d.Len = be.Uint64(v), be.Uint64(v[8:]), be.Uint32(v[16:])
	d.At, d.Status = int64(be.Uint64(v[20:])), be.Uint16(v[28:])
	return nil
}

// Lane is a lane's summary.
type Lane struct {
	ID    uint64
	Count uint64 // pending messages
	First int64  // unix ms; no pending row of the lane is due before it
	Queue uint64
	Flow  uint64
}

func appendLane(dst []byte, l *Lane) []byte {
	return be.AppendUint64(be.AppendUint64(dst, l.Count), uint64(l.First))
}

func decodeLane(key, v []byte) (Lane, error) {
	if len(key) != 9 || len(v) != 16 {
		return Lane{}, errBadValue
	}
	return Lane{ID: be.Uint64(key[1:]), Count: be.Uint64(v), First: int64(be.Uint64(v[8:]))}, nil
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
