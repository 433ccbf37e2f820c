package record

import "fmt"

// moveHead is the length of a Move's fixed head. Offsets:
//
//	 4 user u32     8 nonce u64    16 seq u64     24 pos u64
//	32 lane u64    40 host u64     48 due i64     56 dead u64
//	64 old u64     72 len u32      76 old len u32
//	80 tries u16   82 what u8      83 zero
const moveHead = 88

// MoveOverhead is by how much a Move is longer than the record it moves, at most.
const MoveOverhead = moveHead + lineSize + pullMax

// moveLine says that the row has a Line, which follows the fixed head.
const (
	moveLine uint16 = 1 << 0
	movePull uint16 = 1 << 1 // and a Pull, with its length before it in two bytes, which is next
)

// What says which record a Move moves.
type What uint8

// What can be moved. Definitions are not: they are logged again as they are.
const (
	MovePending     What = 1 // the message of a pending message's row
	MoveDeadMessage What = 2 // the message of a dead letter
	MoveDeadOutcome What = 3 // the outcome that made the dead letter
)

// Move is the copy of a record that stood in the oldest segment, so that the
// segment can be reclaimed (W10). It is a compare-and-set: it counts if the row
// still names Old. It repeats the row, so that an index that is rebuilt from a log
// whose older part is gone finds here what it needs.
type Move struct {
	Row           // of the message, as it stands before the move
	Dead   uint64 // the LSN that names the dead letter, 0 for a pending message
	Old    uint64 // where the record stood
	OldLen uint32 // length of the payload there
	What   What
	Record []byte // the record moved: a Message, an Outcome or a Fanout
}

// Size returns the number of bytes that Append adds.
func (m *Move) Size() int {
	n := moveHead + len(m.Record)
	if m.Line != (Line{}) {
		n += lineSize
	}
	if m.Pull != (Pull{}) {
		n += 2 + m.Pull.size()
	}
	return n
}

// Append appends the encoded move to dst. It keeps nothing.
func (m *Move) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, moveHead)...)
	h := dst[at:]
	h[0], h[1] = byte(TypeMove), version
	le.PutUint32(h[4:], m.User)
	le.PutUint64(h[8:], m.Nonce)
	le.PutUint64(h[16:], m.Seq)
	le.PutUint64(h[24:], m.Pos)
	le.PutUint64(h[32:], m.Lane)
	le.PutUint64(h[40:], m.Host)
	le.PutUint64(h[48:], uint64(m.Due))
	le.PutUint64(h[56:], m.Dead)
	le.PutUint64(h[64:], m.Old)
	le.PutUint32(h[72:], m.Len)
	le.PutUint32(h[76:], m.OldLen)
	le.PutUint16(h[80:], m.Tries)
	h[82] = byte(m.What)
	var flags uint16
	if m.Line != (Line{}) {
		flags |= moveLine
		dst = m.Line.put(dst)
	}
	if m.Pull != (Pull{}) {
		flags |= movePull
		dst = m.Pull.Put(le.AppendUint16(dst, uint16(m.Pull.size())))
	}
	le.PutUint16(dst[at+2:], flags)
	return append(dst, m.Record...)
}

// DecodeMove decodes a payload. Record aliases p; it is not decoded.
func DecodeMove(p []byte, m *Move) error {
	if err := check(p, TypeMove, moveHead, moveLine|movePull); err != nil {
		return err
	}
	*m = Move{
		Row: Row{
			User: le.Uint32(p[4:]), Nonce: le.Uint64(p[8:]), Seq: le.Uint64(p[16:]), Pos: le.Uint64(p[24:]),
			Lane: le.Uint64(p[32:]), Host: le.Uint64(p[40:]), Due: int64(le.Uint64(p[48:])),
			Len: le.Uint32(p[72:]), Tries: le.Uint16(p[80:]),
		},
		Dead: le.Uint64(p[56:]), Old: le.Uint64(p[64:]), OldLen: le.Uint32(p[76:]), What: What(p[82]), Record: p[moveHead:],
	}
	if err := zero(TypeMove, p[83:moveHead]); err != nil {
		return err
	}
	if le.Uint16(p[2:])&moveLine != 0 {
		if len(m.Record) < lineSize {
			return ErrTruncated
		}
		if err := m.Line.decode(m.Record[:lineSize]); err != nil {
			return err
		}
		m.Record = m.Record[lineSize:]
	}
	if le.Uint16(p[2:])&movePull != 0 {
		if err := m.cutPull(); err != nil {
			return err
		}
	}
	return m.checkRecord()
}

// cutPull decodes the Pull that stands before the record.
func (m *Move) cutPull() error {
	if len(m.Record) < 2 {
		return ErrTruncated
	}
	n := 2 + int(le.Uint16(m.Record))
	if len(m.Record) < n {
		return ErrTruncated
	}
	err := m.Pull.Get(m.Record[2:n])
	m.Record = m.Record[n:]
	return err
}

// checkRecord verifies that what is moved is of a type that What allows: it is
// never a Move itself, so that a record moved often grows no longer.
func (m *Move) checkRecord() error {
	if m.What < MovePending || m.What > MoveDeadOutcome {
		return fmt.Errorf("%w: move of kind %d", ErrUnknown, m.What)
	}
	t, err := TypeOf(m.Record)
	if err != nil {
		return err
	}
	publishes := t == TypeMessage || t == TypeFanout || t == TypeOutcome // by its callbacks
	if m.What != MoveDeadOutcome && publishes || t == TypeOutcome {
		return nil
	}
	return fmt.Errorf("%w: a move of kind %d holds a record of type %d", ErrUnknown, m.What, t)
}

// Unwrap returns the record that a payload holds: of a Move what it moved, else
// the payload itself. The result aliases p.
func Unwrap(p []byte) ([]byte, error) {
	t, err := TypeOf(p)
	if err != nil || t != TypeMove {
		return p, err
	}
	var m Move
	err = DecodeMove(p, &m)
	return m.Record, err
}
