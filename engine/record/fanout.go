package record

import (
	"encoding/binary"
	"fmt"
)

// fanoutHead: 4 members u32, 8 length of members u32, 12 zero u32.
const fanoutHead = 16

// MembersMax bounds the members of a fan-out (QSTASH.md §8.5).
const MembersMax = 100

// Fanout publishes one message to several destinations, all or none (W9): the body and
// the options stand in it once. The seq of the n-th member is the record's LSN plus n;
// which one a row is about its nonce tells, so that it is found in a copy, too.
type Fanout struct {
	Members []Member
	Message []byte // encoded: what they share. Its URL, Nonce, Lane and Host are empty
}

// Member is what one destination of a fan-out has for itself.
type Member struct {
	Nonce    uint64
	Lane     uint64
	Host     uint64
	URL      string
	Endpoint string
}

func (m *Member) size() int {
	return 24 + uvarintSize(uint64(len(m.URL))) + len(m.URL) + uvarintSize(uint64(len(m.Endpoint))) + len(m.Endpoint)
}

func (f *Fanout) membersSize() (n int) {
	for i := range f.Members {
		n += f.Members[i].size()
	}
	return n
}

// Size returns the number of bytes that Append adds.
func (f *Fanout) Size() int { return fanoutHead + f.membersSize() + len(f.Message) }

// Append appends the encoded fan-out to dst. It keeps nothing of f.
func (f *Fanout) Append(dst []byte) []byte {
	var h [fanoutHead]byte
	h[0], h[1] = byte(TypeFanout), version
	le.PutUint32(h[4:], uint32(len(f.Members)))
	le.PutUint32(h[8:], uint32(f.membersSize()))
	dst = append(dst, h[:]...)
	for i := range f.Members {
		m := &f.Members[i]
		dst = le.AppendUint64(dst, m.Nonce)
		dst = le.AppendUint64(dst, m.Lane)
		dst = le.AppendUint64(dst, m.Host)
		dst = append(binary.AppendUvarint(dst, uint64(len(m.URL))), m.URL...)
		dst = append(binary.AppendUvarint(dst, uint64(len(m.Endpoint))), m.Endpoint...)
	}
	return append(dst, f.Message...)
}

// DecodeFanout decodes a payload. Texts of members are copied; Message aliases p.
func DecodeFanout(p []byte, f *Fanout) error {
	*f = Fanout{Members: f.Members[:0]}
	h, err := EachMember(p, func(_ int, m *MemberHead) error {
		f.Members = append(f.Members, Member{
			Nonce: m.Nonce, Lane: m.Lane, Host: m.Host, URL: string(m.URL), Endpoint: string(m.Endpoint),
		})
		return nil
	})
	f.Message = h
	return err
}

// MemberHead is a Member whose texts alias the payload.
type MemberHead struct {
	Nonce, Lane, Host uint64
	URL, Endpoint     []byte
	Share             uint32 // bytes of the record's payload that count for this member
}

// EachMember calls fn with the members of a fan-out in order, and returns the message
// that they share. Nothing is called unless the whole payload is sound.
func EachMember(p []byte, fn func(n int, m *MemberHead) error) (shared MessageHead, err error) {
	if err := check(p, TypeFanout, fanoutHead, 0); err != nil {
		return nil, err
	}
	if err := zero(TypeFanout, p[12:fanoutHead]); err != nil {
		return nil, err
	}
	n, size := le.Uint32(p[4:]), le.Uint32(p[8:])
	if n == 0 || n > MembersMax || uint64(size) > uint64(len(p)-fanoutHead) {
		return nil, fmt.Errorf("%w: a fan-out with %d members in %d bytes", ErrTruncated, n, size)
	}
	members, rest := p[fanoutHead:fanoutHead+size], p[fanoutHead+size:]
	if err := checkTemplate(rest); err != nil {
		return nil, fmt.Errorf("the message of a fan-out: %w", err)
	}
	if shared = MessageHead(rest); shared.Report() {
		return nil, fmt.Errorf("%w: a fan-out of a callback", ErrUnknown)
	}
	each := share(len(p), int(n))
	if err := eachMember(members, int(n), each, func(int, *MemberHead) error { return nil }); err != nil {
		return nil, err
	}
	return shared, eachMember(members, int(n), each, fn)
}

func eachMember(b []byte, n int, share uint32, fn func(int, *MemberHead) error) error {
	for i := range n {
		m, rest, ok := cutMember(b)
		if !ok {
			return fmt.Errorf("%w: member %d of a fan-out", ErrTruncated, i)
		}
		m.Share, b = share, rest
		if err := fn(i, &m); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: %d bytes behind the members of a fan-out", ErrTruncated, len(b))
	}
	return nil
}

func cutMember(b []byte) (m MemberHead, rest []byte, ok bool) {
	if len(b) < 24 {
		return m, nil, false
	}
	m.Nonce, m.Lane, m.Host = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
	b = b[24:]
	for _, text := range [...]*[]byte{&m.URL, &m.Endpoint} {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return m, nil, false
		}
		*text, b = b[w:w+int(n)], b[w+int(n):]
	}
	return m, b, true
}

// OpenMessage decodes the message with this nonce out of the record that it stands in:
// a Message, a member of a Fanout, or a callback in an Outcome, which is returned with
// it since it is what the callback reports. p is not a Move (Unwrap). Like DecodeMessage
// it uses the memory of m.Header again, and what it decodes aliases p.
func OpenMessage(p []byte, nonce uint64, m *Message) (reports *Outcome, err error) {
	t, err := TypeOf(p)
	if err != nil {
		return nil, err
	}
	found := false
	switch t {
	case TypeFanout:
		found, err = openMember(p, nonce, m)
	case TypeOutcome:
		reports = new(Outcome)
		if err = DecodeOutcome(p, reports); err == nil {
			var n int
			if n, err = reports.CallbackOf(nonce); err == nil {
				found, err = true, DecodeMessage(reports.Callbacks[n], m)
			}
		}
	default:
		err = DecodeMessage(p, m)
		found = m.Nonce == nonce && m.Flags&FlagReport == 0
	}
	if err == nil && !found {
		err = errOther
	}
	return reports, err
}

// HeadOf returns the head of the message with this nonce in the record that it stands
// in, like OpenMessage. Of a fan-out it is the head of what its members share.
func HeadOf(p []byte, nonce uint64) (h MessageHead, err error) {
	t, err := TypeOf(p)
	if err != nil {
		return nil, err
	}
	found := false
	switch t {
	case TypeFanout:
		h, err = EachMember(p, func(_ int, m *MemberHead) error {
			found = found || m.Nonce == nonce
			return nil
		})
	case TypeOutcome:
		var o Outcome
		if err = DecodeOutcomeHead(p, &o); err == nil {
			err = EachCallback(p, func(_ int, c MessageHead, _ []byte) error {
				if c.Nonce() == nonce {
					h, found = c, true
				}
				return nil
			})
		}
	default:
		h, err = HeadOfMessage(p)
		found = err == nil && h.Nonce() == nonce && !h.Report()
	}
	if err == nil && !found {
		err = errOther
	}
	return h, err
}

var errOther = fmt.Errorf("%w: the record holds another message", ErrTruncated)

func openMember(p []byte, nonce uint64, m *Message) (found bool, err error) {
	var member Member
	shared, err := EachMember(p, func(_ int, h *MemberHead) error {
		if h.Nonce == nonce {
			found = true
			member = Member{Nonce: nonce, Lane: h.Lane, Host: h.Host, URL: string(h.URL), Endpoint: string(h.Endpoint)}
		}
		return nil
	})
	if err == nil && found {
		err = DecodeMessage(shared, m)
		m.Nonce, m.Lane, m.Host, m.URL, m.Endpoint = nonce, member.Lane, member.Host, member.URL, member.Endpoint
	}
	return found, err
}
