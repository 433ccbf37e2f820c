package record

// userHead: 4 id u32, 8 created i64, 16 flags u8.
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

// DecodeUser decodes a payload; it keeps nothing of p.
func DecodeUser(p []byte, u *User) error {
	if err := check(p, TypeUser, userHead); err != nil {
		return err
	}
	*u = User{ID: le.Uint32(p[4:]), Created: int64(le.Uint64(p[8:])), Dev: p[16] == 1}
	return fields(p[userHead:], func(tag Tag, v []byte) error {
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
}

// dropHead: 4 user u32, 8 dead u64.
const dropHead = 16

// DropDead deletes one dead letter.
type DropDead struct {
	User uint32
	Dead uint64 // the LSN of the outcome that made it one
}

// Append appends the encoded record to dst.
func (d *DropDead) Append(dst []byte) []byte {
	var h [dropHead]byte
	h[0], h[1] = byte(TypeDropDead), version
	le.PutUint32(h[4:], d.User)
	le.PutUint64(h[8:], d.Dead)
	return append(dst, h[:]...)
}

// DecodeDropDead decodes a payload.
func DecodeDropDead(p []byte, d *DropDead) error {
	if err := check(p, TypeDropDead, dropHead); err != nil {
		return err
	}
	if len(p) != dropHead {
		return ErrTruncated
	}
	*d = DropDead{User: le.Uint32(p[4:]), Dead: le.Uint64(p[8:])}
	return nil
}
