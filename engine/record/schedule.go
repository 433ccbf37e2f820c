package record

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Flags of a Schedule.
const (
	FlagPaused  uint16 = 1 << 0 // its ticks publish nothing
	FlagSeconds uint16 = 1 << 1 // the expression begins with a field of seconds

	scheduleFlags = FlagPaused | FlagSeconds
)

// Ticks is how far a schedule has come (T3): every record that changes it holds all
// of it, so that the newest one says everything.
type Ticks struct {
	Last int64 // unix ms; no tick at or before it fires any more
	Next int64 // unix ms; the next tick as it was known then, 0: none

	// The newest tick that was published, all zero if none was.
	Run      int64  // unix ms, the tick's time
	RunSeq   uint64 // its message
	RunNonce uint64
}

func (s *Ticks) put(h []byte) {
	le.PutUint64(h, uint64(s.Last))
	le.PutUint64(h[8:], uint64(s.Next))
	le.PutUint64(h[16:], uint64(s.Run))
	le.PutUint64(h[24:], s.RunSeq)
	le.PutUint64(h[32:], s.RunNonce)
}

func (s *Ticks) get(h []byte) {
	*s = Ticks{
		Last: int64(le.Uint64(h)), Next: int64(le.Uint64(h[8:])),
		Run: int64(le.Uint64(h[16:])), RunSeq: le.Uint64(h[24:]), RunNonce: le.Uint64(h[32:]),
	}
}

// scheduleHead is the length of a Schedule's fixed head. Offsets:
//
//	 4 user u32      8 created i64   16 ticks, 40 bytes
//	56 old u64      64 old len u32   68 jitter u32
//	72 window i64   80 missed max u32
//	84 dst u8       85 missed u8     86 zero u16
//	88 defined i64  96 fields u32   100 zero u32
const scheduleHead = 104

// Schedule is the newest definition of a schedule. The newest record of a user and
// id wins.
type Schedule struct {
	Flags    uint16
	User     uint32
	ID       string
	Cron     string   // as it was given, trimmed
	DedupKey [16]byte // of the request that defined it, zero: none; not repeated by a copy
	Created  int64    // unix ms, of the first definition under this id
	Defined  int64    // unix ms, of this definition

	// Rules of its time: how daylight saving, missed ticks and jitter are dealt with.
	// What the numbers mean is the engine's business.
	DST       uint8
	Missed    uint8
	MissedMax uint32
	Window    int64  // ms: a tick that is older is never caught up
	Jitter    uint32 // ms: the most by which its ticks come later

	Ticks
	Error  string // why the newest tick published nothing, "" if it did
	Old    uint64 // where the definition stood that this one replaces, 0: nowhere
	OldLen uint32

	// Message is the encoded message that each tick publishes, with Created, Nonce
	// and seq yet to come: its Due is the delay, ms. Every option of a publish is in
	// it, so that one that is added later needs nothing here.
	Message []byte
}

// Size returns the number of bytes that Append adds.
func (s *Schedule) Size() int { return scheduleHead + s.fieldsSize() + len(s.Message) }

func (s *Schedule) fieldsSize() int {
	n := fieldSize(len(s.ID)) + fieldSize(len(s.Cron))
	if s.DedupKey != ([16]byte{}) {
		n += fieldSize(len(s.DedupKey))
	}
	if s.Error != "" {
		n += fieldSize(len(s.Error))
	}
	return n
}

// Append appends the encoded schedule to dst. It keeps nothing of s.
func (s *Schedule) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, scheduleHead)...)
	h := dst[at:]
	h[0], h[1] = byte(TypeSchedule), version
	le.PutUint16(h[2:], s.Flags)
	le.PutUint32(h[4:], s.User)
	le.PutUint64(h[8:], uint64(s.Created))
	s.Ticks.put(h[16:])
	le.PutUint64(h[56:], s.Old)
	le.PutUint32(h[64:], s.OldLen)
	le.PutUint32(h[68:], s.Jitter)
	le.PutUint64(h[72:], uint64(s.Window))
	le.PutUint32(h[80:], s.MissedMax)
	h[84], h[85] = s.DST, s.Missed
	le.PutUint64(h[88:], uint64(s.Defined))
	le.PutUint32(h[96:], uint32(s.fieldsSize()))
	dst = appendField(dst, tagSchedule, s.ID)
	dst = appendField(dst, tagCron, s.Cron)
	if s.DedupKey != ([16]byte{}) {
		dst = appendField(dst, tagDedupKey, s.DedupKey[:])
	}
	if s.Error != "" {
		dst = appendField(dst, tagError, s.Error)
	}
	return append(dst, s.Message...)
}

// DecodeSchedule decodes a payload. Strings are copied; Message aliases p, and is
// checked to be one, with no fields but those that this version knows.
func DecodeSchedule(p []byte, s *Schedule) error {
	if err := check(p, TypeSchedule, scheduleHead, scheduleFlags); err != nil {
		return err
	}
	if err := zero(TypeSchedule, p[86:88], p[100:scheduleHead]); err != nil {
		return err
	}
	*s = Schedule{
		Flags: le.Uint16(p[2:]), User: le.Uint32(p[4:]), Created: int64(le.Uint64(p[8:])),
		Old: le.Uint64(p[56:]), OldLen: le.Uint32(p[64:]), Jitter: le.Uint32(p[68:]), Window: int64(le.Uint64(p[72:])),
		MissedMax: le.Uint32(p[80:]), DST: p[84], Missed: p[85], Defined: int64(le.Uint64(p[88:])),
	}
	s.Ticks.get(p[16:])
	n := int(le.Uint32(p[96:]))
	if n > len(p)-scheduleHead {
		return ErrTruncated
	}
	s.Message = p[scheduleHead+n:]
	if err := checkTemplate(s.Message); err != nil {
		return fmt.Errorf("the message of a schedule: %w", err)
	}
	return scheduleFields(TypeSchedule, p[scheduleHead:scheduleHead+n], 1<<tagSchedule|1<<tagCron, func(tag Tag, v []byte) bool {
		switch tag {
		case tagSchedule:
			s.ID = string(v)
		case tagCron:
			s.Cron = string(v)
		case tagDedupKey:
			copy(s.DedupKey[:], v)
		case tagError:
			s.Error = string(v)
		default:
			return false
		}
		return true
	})
}

// checkTemplate refuses a message of a later version before any tick is to publish it.
func checkTemplate(p []byte) error {
	h, err := HeadOfMessage(p)
	if err == nil {
		_, _, err = h.Special()
	}
	return err
}

// scheduleFields walks fields of which none stands twice and each of the set always
// once, since those of most types run to the end of the payload, which has no length
// of its own to be compared with; take says whether it knows the tag.
func scheduleFields(t Type, p []byte, always uint64, take func(tag Tag, v []byte) bool) error {
	var seen uint64
	err := fields(p, func(tag Tag, v []byte) error {
		if !take(tag, v) {
			return unknownTag(t, tag)
		}
		if tag == tagSchedule && len(v) == 0 || tag == tagDedupKey && len(v) != 16 || seen&(1<<tag) != 0 {
			return fmt.Errorf("%w: field %d of type %d", ErrTruncated, tag, t)
		}
		seen |= 1 << tag
		return nil
	})
	if err == nil && seen&always != always {
		err = ErrTruncated
	}
	return err
}

// dropScheduleHead: 4 user u32, 8 old u64, 16 old len u32, 20 zero u32.
const dropScheduleHead = 24

// DropSchedule deletes a schedule. What it has published stays.
type DropSchedule struct {
	User   uint32
	ID     string
	Old    uint64 // where its definition stood
	OldLen uint32
}

// Append appends the encoded record to dst.
func (d *DropSchedule) Append(dst []byte) []byte {
	var h [dropScheduleHead]byte
	h[0], h[1] = byte(TypeDropSchedule), version
	le.PutUint32(h[4:], d.User)
	le.PutUint64(h[8:], d.Old)
	le.PutUint32(h[16:], d.OldLen)
	return appendField(append(dst, h[:]...), tagSchedule, d.ID)
}

// DecodeDropSchedule decodes a payload; it keeps nothing of p.
func DecodeDropSchedule(p []byte, d *DropSchedule) error {
	if err := check(p, TypeDropSchedule, dropScheduleHead, 0); err != nil {
		return err
	}
	if err := zero(TypeDropSchedule, p[20:dropScheduleHead]); err != nil {
		return err
	}
	*d = DropSchedule{User: le.Uint32(p[4:]), Old: le.Uint64(p[8:]), OldLen: le.Uint32(p[16:])}
	return scheduleFields(TypeDropSchedule, p[dropScheduleHead:], 1<<tagSchedule, func(tag Tag, v []byte) bool {
		d.ID = string(v)
		return tag == tagSchedule
	})
}

// tickHead: 4 user u32, 8 at i64, 16 ticks 40 bytes, 56 from i64, 64 to i64, 72 count u32,
// 76 more u8, 77 zero u24.
const tickHead = 80

// Tick says how far a schedule has come where no message says so: ticks went by that
// published nothing, and are not caught up (P28).
type Tick struct {
	User uint32
	ID   string
	At   int64 // unix ms, when this was decided
	Ticks
	From, To int64 // unix ms: the first and the last of the ticks that published nothing
	Count    uint32
	More     bool   // there were more than Count of them
	Error    string // why, for people
}

// Append appends the encoded tick to dst.
func (k *Tick) Append(dst []byte) []byte {
	var h [tickHead]byte
	h[0], h[1] = byte(TypeTick), version
	le.PutUint32(h[4:], k.User)
	le.PutUint64(h[8:], uint64(k.At))
	k.Ticks.put(h[16:])
	le.PutUint64(h[56:], uint64(k.From))
	le.PutUint64(h[64:], uint64(k.To))
	le.PutUint32(h[72:], k.Count)
	if k.More {
		h[76] = 1
	}
	dst = appendField(append(dst, h[:]...), tagSchedule, k.ID)
	return appendField(dst, tagError, k.Error)
}

// DecodeTick decodes a payload; it keeps nothing of p.
func DecodeTick(p []byte, k *Tick) error {
	if err := check(p, TypeTick, tickHead, 0); err != nil {
		return err
	}
	if err := zero(TypeTick, p[77:tickHead]); err != nil {
		return err
	}
	*k = Tick{
		User: le.Uint32(p[4:]), At: int64(le.Uint64(p[8:])), From: int64(le.Uint64(p[56:])), To: int64(le.Uint64(p[64:])),
		Count: le.Uint32(p[72:]), More: p[76] == 1,
	}
	k.Ticks.get(p[16:])
	if p[76] > 1 {
		return fmt.Errorf("%w: tick flags %#x", ErrUnknown, p[76])
	}
	return scheduleFields(TypeTick, p[tickHead:], 1<<tagSchedule|1<<tagError, func(tag Tag, v []byte) bool {
		switch tag {
		case tagSchedule:
			k.ID = string(v)
		case tagError:
			k.Error = string(v)
		default:
			return false
		}
		return true
	})
}

// ScheduleTick names the tick that a message is (T3), and when the next one is.
type ScheduleTick struct {
	Time int64 // unix ms, never 0
	Next int64 // unix ms, 0: there is none
}

const scheduleTickSize = 16

func (k *ScheduleTick) append(dst []byte) []byte {
	var b [scheduleTickSize]byte
	le.PutUint64(b[:], uint64(k.Time))
	le.PutUint64(b[8:], uint64(k.Next))
	return appendField(dst, tagTick, b[:])
}

func (k *ScheduleTick) decode(v []byte) error {
	if len(v) != scheduleTickSize {
		return ErrTruncated
	}
	k.Time, k.Next = int64(le.Uint64(v)), int64(le.Uint64(v[8:]))
	if k.Time == 0 {
		return fmt.Errorf("%w: a tick without a time", ErrTruncated)
	}
	return nil
}

// Rule names what decides when a schedule's ticks are, in 64 bits: two definitions
// with the same rule have the same ticks.
func (s *Schedule) Rule() uint64 {
	h := xxhash.New()
	var b [4]byte
	b[0], b[1] = byte(s.Flags&FlagSeconds), s.DST
	h.Write(b[:])
	h.WriteString(s.Cron)
	return h.Sum64()
}
