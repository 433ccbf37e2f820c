package index

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine/record"
)

// Bounds of the texts in a history row. A longer destination or error is in the
// log alone, for as long as its record is.
const (
	historyFieldMax = 1024
	historyErrorMax = 120
)

// History is one history row: what happened to one message at one place of the
// log. It holds every state that an events API shows: CREATED comes from the first
// part; of each end of an attempt, ACTIVE is At less Took, ERROR, RETRY with Next,
// FAILED, DELIVERED and CANCELED follow from Kind. What it does not hold is read
// from the log while it lasts: headers and body of the message at Pos, headers and
// body of the response, and the error's full text, at an Outcome's LSN.
type History struct {
	LSN   uint64 // the row's key: Seq, or that of its only outcome
	User  uint32
	Nonce uint64
	Seq   uint64
	Pos   uint64 // where the message's record stood
	Len   uint32 // length of that record's payload, bytes, or the message's share of it

	// Created is set in a message's first row. A later row has Host alone; its
	// destination is found in the message's first row, or in its record.
	Created  *Created
	Host     uint64
	Outcomes []HistoryOutcome // in log order

	// Missed is set in a row that is about no message: only LSN and User are, besides.
	Missed *record.Tick
}

// Created is what a publish adds to history.
type Created struct {
	At      int64 // unix ms
	Due     int64 // unix ms
	Method  record.Method
	Retries uint16
	Cut     bool // one of HistoryFields is the beginning of a longer one
	record.HistoryFields
}

// HistoryOutcome is what an outcome adds to history.
type HistoryOutcome struct {
	LSN     uint64
	Len     uint32 // length of the outcome's payload, bytes
	Kind    record.Kind
	At      int64 // unix ms
	Took    uint32
	Attempt uint16
	Status  uint16
	Next    int64  // unix ms, with Retry
	Error   string // its first 120 bytes, with Retry and Dead
}

// The encoding is of variable length: most numbers are small once they are taken
// relative to one that is there already, and a row is written for every message.
//
//	flags u8, user uv, nonce u64
//	first row:  seq-pos uv if the message shares a record, len uv, created uv, due-created sv, method u8, retries uv, length of fields uv, fields
//	later row:  key-seq uv, pos-seq sv, len uv, host u64
//	missed:     a record.Tick
//	each outcome: kind u8, lsn-seq uv, len uv, at uv, took uv, attempt uv, status uv,
//	              Retry: next-at sv; Retry and Dead: length of error uv, error
const (
	historyFirst  = 1 << 0 // a first row
	historyCut    = 1 << 1
	historyTicks  = 1 << 2 // ticks of a schedule that published nothing
	historyShared = 1 << 3 // of a message that does not stand at its seq
)

// appendCreated encodes a first row up to its outcomes. member is not nil if h is of
// what a fan-out's members share.
func appendCreated(dst []byte, r *record.Row, h record.MessageHead, member *record.MemberHead) ([]byte, error) {
	flags := len(dst)
	dst = append(dst, historyFirst)
	dst = binary.AppendUvarint(dst, uint64(r.User))
	dst = be.AppendUint64(dst, r.Nonce)
	if r.Seq != r.Pos {
		dst[flags] |= historyShared
		dst = binary.AppendUvarint(dst, r.Seq-r.Pos)
	}
	dst = binary.AppendUvarint(dst, uint64(r.Len))
	dst = binary.AppendUvarint(dst, uint64(h.Created()))
	dst = binary.AppendVarint(dst, h.Due()-h.Created())
	dst = append(dst, byte(h.Method()))
	dst = binary.AppendUvarint(dst, uint64(h.Retries()))
	size := len(dst)
	dst = append(dst, 0, 0) // the fields' length, filled in below: two bytes, since seven fields of historyFieldMax and all labels stay below 1<<14
	dst, cut, err := h.HistoryFields(dst, member, historyFieldMax)
	if cut {
		dst[flags] |= historyCut
	}
	f := len(dst) - size - 2
	dst[size], dst[size+1] = byte(f)|0x80, byte(f>>7)
	return dst, err
}

// appendLater encodes a row of one outcome, up to that.
func appendLater(dst []byte, r *record.Row, lsn uint64) []byte {
	dst = append(dst, 0)
	dst = binary.AppendUvarint(dst, uint64(r.User))
	dst = be.AppendUint64(dst, r.Nonce)
	dst = binary.AppendUvarint(dst, lsn-r.Seq)
	dst = binary.AppendVarint(dst, int64(r.Pos-r.Seq))
	dst = binary.AppendUvarint(dst, uint64(r.Len))
	return be.AppendUint64(dst, r.Host)
}

// appendOutcome encodes an outcome, whose payload is p.
func appendOutcome(dst []byte, o *record.Outcome, lsn uint64, p []byte) ([]byte, error) {
	dst = append(dst, byte(o.Kind))
	dst = binary.AppendUvarint(dst, lsn-o.Seq)
	dst = binary.AppendUvarint(dst, uint64(len(p)))
	dst = binary.AppendUvarint(dst, uint64(o.At))
	dst = binary.AppendUvarint(dst, uint64(o.Took))
	dst = binary.AppendUvarint(dst, uint64(o.Attempt))
	dst = binary.AppendUvarint(dst, uint64(o.Status))
	if o.Kind == record.Retry {
		dst = binary.AppendVarint(dst, o.Next-o.At)
	}
	if o.Kind != record.Retry && o.Kind != record.Dead {
		return dst, nil
	}
	text, err := record.OutcomeError(p)
	text = beginning(text, historyErrorMax)
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...), err
}

// beginning cuts a text to at most n bytes, between characters.
func beginning(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// decodeHistory decodes a row. It keeps nothing of key and v.
func decodeHistory(key, v []byte, h *History) error {
	if len(key) != 9 {
		return errBadValue
	}
	r := rowReader{b: v}
	*h = History{LSN: be.Uint64(key[1:])}
	flags := r.byte()
	if flags == historyTicks {
		h.Missed = new(record.Tick)
		err := record.DecodeTick(r.b, h.Missed)
		h.User = h.Missed.User
		return err
	}
	h.User, h.Nonce = uint32(r.uint()), r.fixed()
	if flags&historyFirst != 0 {
		h.Seq, h.Pos = h.LSN, h.LSN
		if flags&historyShared != 0 {
			h.Pos -= r.uint()
		}
		h.Len = uint32(r.uint())
		c := &Created{At: int64(r.uint()), Cut: flags&historyCut != 0}
		c.Due = c.At + r.int()
		c.Method, c.Retries = record.Method(r.byte()), uint16(r.uint())
		f, err := record.DecodeHistoryFields(r.bytes(r.uint()))
		if err != nil {
			return err
		}
		c.HistoryFields, h.Created = f, c
	} else {
		h.Seq = h.LSN - r.uint()
		h.Pos = h.Seq + uint64(r.int())
		h.Len, h.Host = uint32(r.uint()), r.fixed()
	}
	for len(r.b) > 0 && !r.bad {
		h.Outcomes = append(h.Outcomes, r.outcome(h.Seq))
	}
	if r.bad || flags&^(historyFirst|historyCut|historyShared) != 0 {
		return errBadValue
	}
	return nil
}

// rowReader takes a row apart. After bad is set everything it returns is zero.
type rowReader struct {
	b   []byte
	bad bool
}

func (r *rowReader) outcome(seq uint64) (o HistoryOutcome) {
	o.Kind = record.Kind(r.byte())
	o.LSN, o.Len = seq+r.uint(), uint32(r.uint())
	o.At, o.Took = int64(r.uint()), uint32(r.uint())
	o.Attempt, o.Status = uint16(r.uint()), uint16(r.uint())
	if o.Kind == record.Retry {
		o.Next = o.At + r.int()
	}
	if o.Kind == record.Retry || o.Kind == record.Dead {
		o.Error = string(r.bytes(r.uint()))
	}
	return o
}

func (r *rowReader) bytes(n uint64) []byte {
	if r.bad = r.bad || n > uint64(len(r.b)); r.bad {
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *rowReader) byte() byte {
	if v := r.bytes(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *rowReader) fixed() uint64 {
	if v := r.bytes(8); v != nil {
		return be.Uint64(v)
	}
	return 0
}

func (r *rowReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}
