package record

import (
	"fmt"
	"testing"
)

var benchSizes = []int{1 << 10, 16 << 10, 256 << 10}

// benchBodies runs fn with JSON bodies; a rate counts the body as published.
func benchBodies(b *testing.B, fn func(b *testing.B, body []byte)) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("size=%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			fn(b, jsonBody(size))
		})
	}
}

// stored is a message whose body is stored as it came: what Append and Decode
// do to bytes does not depend on what the bytes are.
func stored(body []byte) *Message {
	m := sample()
	m.Body, m.BodyLen = body, uint32(len(body))
	return &m
}

func BenchmarkAppend(b *testing.B) {
	benchBodies(b, func(b *testing.B, body []byte) {
		m := stored(body)
		dst := make([]byte, 0, m.Size())
		for b.Loop() {
			dst = m.Append(dst[:0])
		}
	})
}

func BenchmarkHeadOfMessage(b *testing.B) {
	benchBodies(b, func(b *testing.B, body []byte) {
		p := stored(body).Append(nil)
		for b.Loop() {
			h, err := HeadOfMessage(p)
			if err != nil {
				b.Fatal(err)
			}
			if _, _, err := h.Special(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeMessage(b *testing.B) {
	benchBodies(b, func(b *testing.B, body []byte) {
		p := stored(body).Append(nil)
		var m Message
		for b.Loop() {
			if err := DecodeMessage(p, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSetBody(b *testing.B) {
	benchBodies(b, func(b *testing.B, body []byte) {
		var m Message
		var scratch []byte
		for b.Loop() {
			scratch = m.SetBody(body, scratch)
		}
		b.ReportMetric(float64(len(body))/float64(len(m.Body)), "x-smaller")
	})
}

func BenchmarkOpenBody(b *testing.B) {
	benchBodies(b, func(b *testing.B, body []byte) {
		var m Message
		m.SetBody(body, nil)
		var dst []byte
		for b.Loop() {
			var err error
			if dst, err = m.OpenBody(dst); err != nil {
				b.Fatal(err)
			}
		}
	})
}
