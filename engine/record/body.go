package record

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Bodies below compressMin bytes, or that would shrink by less than one eighth,
// are stored as they came: the frame's overhead and the CPU are not worth it. To
// store and read webhook JSON compressed costs a core 72 ns for each byte saved of
// 512, 35 of a kilobyte, 14 of two and 5 of sixteen: a message of a kilobyte would
// take 10 us to leave 73 % of it. s2 takes a fifth of the time and leaves a quarter
// to a half more on disk; zstd's higher levels take up to three times as long and
// leave, from two kilobytes on, one or two percent less (BenchmarkCodec).
const compressMin = 2 << 10

// bodyMax is the longest body that is opened, bytes: the most that
// message.max-size may be set to.
const bodyMax = 64 << 20

// A zstd encoder holds about a megabyte; a few are kept for the publishers that
// compress at one time, the rest are garbage.
var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
	if err != nil {
		panic("record: BUG: zstd options: " + err.Error())
	}
	return e
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic("record: BUG: zstd options: " + err.Error())
	}
	return d
}}

// SetBody stores body in m, compressed into scratch when that pays. The body is
// not copied otherwise, so m refers to body or to the returned scratch until it
// is encoded. It runs outside the commit path, on the publisher's goroutine.
func (m *Message) SetBody(body, scratch []byte) []byte {
	m.Body, m.BodyLen = body, uint32(len(body))
	m.Flags &^= FlagZstd
	if len(body) < compressMin || !compressible(body) {
		return scratch
	}
	e := encoders.Get().(*zstd.Encoder)
	scratch = e.EncodeAll(body, scratch[:0])
	encoders.Put(e)
	if len(scratch) < len(body)-len(body)/8 {
		m.Body = scratch
		m.Flags |= FlagZstd
	}
	return scratch
}

// compressible samples the body: bytes spread over nearly all values are
// encrypted, packed or random, and trying costs more than all else a publish does.
func compressible(body []byte) bool {
	var seen [256]bool
	distinct, step := 0, len(body)/256
	if step == 0 {
		step = 1
	}
	for i := 0; i < len(body); i += step {
		if !seen[body[i]] {
			seen[body[i]] = true
			distinct++
		}
	}
	return distinct < 128
}

// OpenBody returns the body as it was published. It aliases m.Body, or dst's
// memory if the body was compressed and there is room for BodyLen bytes in it.
// Whatever the frame holds, no more than BodyLen bytes are decompressed.
func (m *Message) OpenBody(dst []byte) ([]byte, error) {
	if m.Flags&FlagZstd == 0 {
		if int(m.BodyLen) != len(m.Body) {
			return nil, fmt.Errorf("%w: body of %d bytes where %d were published", ErrTruncated, len(m.Body), m.BodyLen)
		}
		return m.Body, nil
	}
	if m.BodyLen > bodyMax {
		return nil, fmt.Errorf("record: stored body claims %d bytes, at most %d are published", m.BodyLen, bodyMax)
	}
	return m.decompress(dst)
}

func (m *Message) decompress(dst []byte) ([]byte, error) {
	n := int(m.BodyLen)
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	d := decoders.Get().(*zstd.Decoder)
	out, err := d.DecodeAll(m.Body, dst[:0:n])
	decoders.Put(d)
	if err != nil {
		return nil, fmt.Errorf("record: stored body does not decompress: %w", err)
	}
	if len(out) != n {
		return nil, fmt.Errorf("%w: body of %d bytes where %d were published", ErrTruncated, len(out), n)
	}
	return dst[:n], nil // out, with the capacity that dst came with
}
