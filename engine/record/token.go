package record

import "fmt"

// What a Token allows.
const (
	AccessFull    uint8 = 0
	AccessPublish uint8 = 1
	AccessRead    uint8 = 2
)

// TokenAdmin is the flag of a Token that manages accounts and tokens.
const TokenAdmin uint16 = 1 << 0

// tokenHead: 4 user u32, 8 created i64, 16 expires i64, 24 access u8, 25 zero u24,
// 28 fields u32: a token that lost its last limits would allow more.
const tokenHead = 32

// Token is a token of an account, besides the one that its User has. It never changes.
type Token struct {
	Flags   uint16
	User    uint32
	Created int64 // unix ms
	Expires int64 // unix ms, 0: never
	Access  uint8
	Hash    [32]byte // SHA-256 of the token; the token itself is kept nowhere
	Name    string

	// What the token is limited to; nothing of a kind is no limit.
	Queues []string // names
	Groups []string // names of URL groups
	Hosts  []string // of destinations: a name, an address, or *.suffix
}

// TokenID is what a token with this hash is known by: the first 8 bytes of the hash,
// big-endian. They tell nothing about the token.
func TokenID(hash *[32]byte) uint64 {
	var id uint64
	for _, b := range hash[:8] {
		id = id<<8 | uint64(b)
	}
	return id
}

// ID is what the token is known by.
func (t *Token) ID() uint64 { return TokenID(&t.Hash) }

// Append appends the encoded token to dst.
func (t *Token) Append(dst []byte) []byte {
	var h [tokenHead]byte
	h[0], h[1] = byte(TypeToken), version
	le.PutUint16(h[2:], t.Flags)
	le.PutUint32(h[4:], t.User)
	le.PutUint64(h[8:], uint64(t.Created))
	le.PutUint64(h[16:], uint64(t.Expires))
	h[24] = t.Access
	le.PutUint32(h[28:], uint32(t.fieldsSize()))
	dst = appendField(append(dst, h[:]...), tagTokenHash, t.Hash[:])
	dst = appendField(dst, tagName, t.Name)
	for _, l := range t.limits() {
		for _, v := range *l.list {
			dst = appendField(dst, l.tag, v)
		}
	}
	return dst
}

func (t *Token) fieldsSize() int {
	n := fieldSize(len(t.Hash)) + fieldSize(len(t.Name))
	for _, l := range t.limits() {
		for _, v := range *l.list {
			n += fieldSize(len(v))
		}
	}
	return n
}

// tokenLimit is one of the lists that a token is limited to.
type tokenLimit struct {
	tag  Tag
	list *[]string
}

func (t *Token) limits() [3]tokenLimit {
	return [3]tokenLimit{{tagLimitQueue, &t.Queues}, {tagLimitGroup, &t.Groups}, {tagLimitHost, &t.Hosts}}
}

// DecodeToken decodes a payload; it keeps nothing of p.
func DecodeToken(p []byte, t *Token) error {
	if err := check(p, TypeToken, tokenHead, TokenAdmin); err != nil {
		return err
	}
	if p[24] > AccessRead {
		return fmt.Errorf("%w: access %d of a token", ErrUnknown, p[24])
	}
	if n := le.Uint32(p[28:]); uint64(n) != uint64(len(p)-tokenHead) {
		return fmt.Errorf("%w: a token with %d bytes of fields, and it has %d", ErrTruncated, n, len(p)-tokenHead)
	}
	if err := zero(TypeToken, p[25:28]); err != nil {
		return err
	}
	*t = Token{
		Flags: le.Uint16(p[2:]), User: le.Uint32(p[4:]), Created: int64(le.Uint64(p[8:])), Expires: int64(le.Uint64(p[16:])), Access: p[24],
	}
	return t.decodeFields(p[tokenHead:])
}

func (t *Token) decodeFields(p []byte) error {
	hashes, names := 0, 0
	err := fields(p, func(tag Tag, v []byte) error {
		switch tag {
		case tagTokenHash:
			if len(v) != len(t.Hash) {
				return ErrTruncated
			}
			copy(t.Hash[:], v)
			hashes++
			return nil
		case tagName:
			t.Name = string(v)
			names++
			return nil
		}
		for _, l := range t.limits() {
			if l.tag == tag {
				*l.list = append(*l.list, string(v))
				return nil
			}
		}
		return unknownTag(TypeToken, tag)
	})
	if err == nil && (hashes != 1 || names != 1) {
		err = fmt.Errorf("%w: a token with %d hashes and %d names", ErrTruncated, hashes, names)
	}
	return err
}

// dropTokenHead: 4 user u32, 8 id u64. dropUserHead: 4 user u32, 8 last u32, 12 zero u32.
const (
	dropTokenHead = 16
	dropUserHead  = 16
)

// DropToken revokes a token. The one that a User has is revoked by a User without it.
type DropToken struct {
	User uint32
	ID   uint64
}

// Append appends the encoded record to dst.
func (d *DropToken) Append(dst []byte) []byte {
	var h [dropTokenHead]byte
	h[0], h[1] = byte(TypeDropToken), version
	le.PutUint32(h[4:], d.User)
	le.PutUint64(h[8:], d.ID)
	return append(dst, h[:]...)
}

// DecodeDropToken decodes a payload.
func DecodeDropToken(p []byte, d *DropToken) error {
	if err := checkOnly(p, TypeDropToken, dropTokenHead); err != nil {
		return err
	}
	*d = DropToken{User: le.Uint32(p[4:]), ID: le.Uint64(p[8:])}
	return nil
}

// DropUser deletes an account with its tokens. The newest one is kept for Last: no
// number is given twice, so nobody is ever taken for who had it before.
type DropUser struct {
	User uint32 // 0: none; then only Last is told
	Last uint32 // the largest number that an account was given so far
}

// Append appends the encoded record to dst.
func (d *DropUser) Append(dst []byte) []byte {
	var h [dropUserHead]byte
	h[0], h[1] = byte(TypeDropUser), version
	le.PutUint32(h[4:], d.User)
	le.PutUint32(h[8:], d.Last)
	return append(dst, h[:]...)
}

// DecodeDropUser decodes a payload.
func DecodeDropUser(p []byte, d *DropUser) error {
	if err := checkOnly(p, TypeDropUser, dropUserHead); err != nil {
		return err
	}
	*d = DropUser{User: le.Uint32(p[4:]), Last: le.Uint32(p[8:])}
	return zero(TypeDropUser, p[12:])
}

// checkOnly is check of a type without flags that has nothing behind its fixed head.
func checkOnly(p []byte, t Type, head int) error {
	if err := check(p, t, head, 0); err != nil {
		return err
	}
	if len(p) > head {
		return fmt.Errorf("%w: %d bytes behind a record of type %d", ErrUnknown, len(p)-head, t)
	}
	return nil
}
