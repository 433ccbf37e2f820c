package record

import "fmt"

// userHead: 4 id u32, 8 created i64, 16 dev u8, 17 zero u24.
const userHead = 20

// User is the newest state of an account. The newest record of an id wins.
type User struct {
	ID        uint32
	Created   int64    // unix ms
	Dev       bool     // one of the published development users, never accepted by serve
	TokenHash [32]byte // SHA-256 of the token; the token itself is kept nowhere
	Name      string
	Current   string // signing keys
	Next      string
}

// Append appends the encoded user to dst.
func (u *User) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, userHead)...)
	h := dst[at:]
	h[0], h[1] = byte(TypeUser), version
	le.PutUint32(h[4:], u.ID)
	le.PutUint64(h[8:], uint64(u.Created))
	if u.Dev {
		h[16] = 1
	}
	dst = appendField(dst, tagTokenHash, u.TokenHash[:])
	dst = appendField(dst, tagName, u.Name)
	dst = appendField(dst, tagKeyCurrent, u.Current)
	return appendField(dst, tagKeyNext, u.Next)
}

// userFields is the set of tags that every user has. They run to the end of the
// payload, which has no length of its own to be compared with.
const userFields = 1<<tagTokenHash | 1<<tagName | 1<<tagKeyCurrent | 1<<tagKeyNext

// DecodeUser decodes a payload; it keeps nothing of p.
func DecodeUser(p []byte, u *User) error {
	if err := check(p, TypeUser, userHead, 0); err != nil {
		return err
	}
	if p[16] > 1 {
		return fmt.Errorf("%w: user flags %#x", ErrUnknown, p[16])
	}
	if err := zero(TypeUser, p[17:userHead]); err != nil {
		return err
	}
	*u = User{ID: le.Uint32(p[4:]), Created: int64(le.Uint64(p[8:])), Dev: p[16] == 1}
	return u.decodeFields(p[userHead:])
}

func (u *User) decodeFields(p []byte) error {
	var seen uint32
	err := fields(p, func(tag Tag, v []byte) error {
		seen |= 1 << (tag & 31)
		switch tag {
		case tagTokenHash:
			if len(v) != len(u.TokenHash) {
				return ErrTruncated
			}
			copy(u.TokenHash[:], v)
		case tagName:
			u.Name = string(v)
		case tagKeyCurrent:
			u.Current = string(v)
		case tagKeyNext:
			u.Next = string(v)
		default:
			return unknownTag(TypeUser, tag)
		}
		return nil
	})
	if err == nil && seen != userFields {
		err = ErrTruncated
	}
	return err
}

// dropHead: 4 user u32, 8 dead u64, 16 message u64, 24 outcome u64,
// 32 message length u32, 36 outcome length u32. Version 1 ended at 16.
const (
	dropHead   = 40
	dropHeadV1 = 16
)

// DropDead deletes one dead letter.
type DropDead struct {
	Flags uint16
	User  uint32
	Dead  uint64 // the LSN that names the dead letter
	Freed Freed
}

// DropExpired says that nobody asked for it: the dead letter was too old.
const DropExpired uint16 = 1 << 0

// Freed says where the records of a dead letter stand that nobody needs any more,
// so that the index can count what a segment still holds without looking (X1).
type Freed struct {
	Message, Outcome       uint64 // LSNs
	MessageLen, OutcomeLen uint32 // of the payloads
}

const freedSize = 24

func (f *Freed) put(h []byte) {
	le.PutUint64(h, f.Message)
	le.PutUint64(h[8:], f.Outcome)
	le.PutUint32(h[16:], f.MessageLen)
	le.PutUint32(h[20:], f.OutcomeLen)
}

func (f *Freed) get(h []byte) {
	f.Message, f.Outcome = le.Uint64(h), le.Uint64(h[8:])
	f.MessageLen, f.OutcomeLen = le.Uint32(h[16:]), le.Uint32(h[20:])
}

// Append appends the encoded record to dst.
func (d *DropDead) Append(dst []byte) []byte {
	var h [dropHead]byte
	h[0], h[1] = byte(TypeDropDead), dropDeadVersion
	le.PutUint16(h[2:], d.Flags)
	le.PutUint32(h[4:], d.User)
	le.PutUint64(h[8:], d.Dead)
	d.Freed.put(h[16:])
	return append(dst, h[:]...)
}

// DecodeDropDead decodes a payload. Freed is zero in a record of version 1.
func DecodeDropDead(p []byte, d *DropDead) error {
	if err := check(p, TypeDropDead, dropHeadV1, DropExpired); err != nil {
		return err
	}
	head := dropHead
	if p[1] == 1 {
		head = dropHeadV1
	}
	if len(p) < head {
		return ErrTruncated
	}
	if len(p) > head {
		return fmt.Errorf("%w: %d bytes behind a dropped dead letter", ErrUnknown, len(p)-head)
	}
	*d = DropDead{Flags: le.Uint16(p[2:]), User: le.Uint32(p[4:]), Dead: le.Uint64(p[8:])}
	if head == dropHead {
		d.Freed.get(p[16:])
	}
	return nil
}
