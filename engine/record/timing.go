package record

import "encoding/binary"

// Timing says where an attempt's time went, each part in microseconds. All zero: it is
// not known.
type Timing struct {
	Queue     uint32 // from due to the start, without Flow: for its lane's turn and a permit
	Flow      uint32 // for its flow-control key
	DNS       uint32
	Connect   uint32
	TLS       uint32
	FirstByte uint32 // from the start to the response's first byte
	Total     uint32 // from the start to the response's end
}

func (t *Timing) parts() [7]*uint32 {
	return [...]*uint32{&t.Queue, &t.Flow, &t.DNS, &t.Connect, &t.TLS, &t.FirstByte, &t.Total}
}

func (t *Timing) size() (n int) {
	for _, v := range t.parts() {
		n += uvarintSize(uint64(*v))
	}
	return n
}

func (t *Timing) append(dst []byte) []byte {
	dst = append(dst, byte(tagTiming))
	dst = binary.AppendUvarint(dst, uint64(t.size()))
	for _, v := range t.parts() {
		dst = binary.AppendUvarint(dst, uint64(*v))
	}
	return dst
}

func (t *Timing) decode(b []byte) error {
	for _, p := range t.parts() {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<32-1 {
			return ErrTruncated
		}
		*p, b = uint32(v), b[n:]
	}
	if len(b) > 0 || *t == (Timing{}) {
		return ErrTruncated
	}
	return nil
}
