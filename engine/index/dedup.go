package index

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/engine/record"
)

// A dedup row says what was first accepted under an id, and when (X6):
//
//	seq u64, nonce u64, accepted i64, kind u8, then
//	a message: nothing
//	a schedule's definition: its id
//	a fan-out: of each member nonce u64, length of URL uv, URL
const (
	dedupMessage  = 0
	dedupSchedule = 1
	dedupFanout   = 2

	dedupHead = 8 + 8 + 8 + 1
)

// Deduped is what was first accepted under an id: a message, a schedule, or a fan-out.
type Deduped struct {
	Seq, Nonce uint64        // of a fan-out those of the first member
	Schedule   string        // "": it is not a schedule
	Members    []DedupMember // nil: it is not a fan-out. The n-th has the seq Seq+n
}

// DedupMember is what the answer to a publish says of one member of a fan-out.
type DedupMember struct {
	Nonce uint64
	URL   string
}

// dedup remembers the id, and forgets the buckets that no window reaches any
// more when a new one begins (X6). Publishers overtake one another at a bucket's
// edge, which begins nothing; a longer step back is a clock set right, after
// which expiry goes on from there.
func (a *Applier) dedup(user uint32, hash *[16]byte, at int64, val []byte) error {
	b := uint64(max(at, 0) / a.x.opts.DedupWindow.Milliseconds())
	if b > a.dedupBucket && b > 1 {
		var zero [16]byte
		if err := a.deleteRange(dedupKey(nil, 0, 0, &zero), dedupKey(nil, b-1, 0, &zero)); err != nil {
			return err
		}
	}
	if b+1 != a.dedupBucket {
		a.dedupBucket = b
	}
	a.key = dedupKey(a.key, b, user, hash)
	a.set(a.key, val)
	return nil
}

// appendDedup encodes a row, up to what depends on its kind.
func appendDedup(dst []byte, kind byte, seq, nonce uint64, at int64) []byte {
	dst = be.AppendUint64(be.AppendUint64(be.AppendUint64(dst, seq), nonce), uint64(at))
	return append(dst, kind)
}

func appendDedupMembers(dst []byte, members []record.MemberHead) []byte {
	for i := range members {
		m := &members[i]
		dst = be.AppendUint64(dst, m.Nonce)
		dst = append(binary.AppendUvarint(dst, uint64(len(m.URL))), m.URL...)
	}
	return dst
}

// decodeDedup decodes a row, and says when it was accepted (unix ms).
func decodeDedup(v []byte) (d Deduped, at int64, err error) {
	if len(v) < dedupHead {
		return d, 0, errBadValue
	}
	d, at = Deduped{Seq: be.Uint64(v), Nonce: be.Uint64(v[8:])}, int64(be.Uint64(v[16:]))
	r := rowReader{b: v[dedupHead:]}
	switch v[24] {
	case dedupMessage:
	case dedupSchedule:
		d.Schedule = string(r.bytes(uint64(len(r.b))))
	case dedupFanout:
		for len(r.b) > 0 && !r.bad {
			d.Members = append(d.Members, DedupMember{Nonce: r.fixed(), URL: string(r.bytes(r.uint()))})
		}
	default:
		r.bad = true
	}
	if r.bad || len(r.b) > 0 {
		return Deduped{}, 0, errBadValue
	}
	return d, at, nil
}
