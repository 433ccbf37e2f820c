package record

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// webhookBody returns about n bytes as a shop or a payment service sends them: one
// event for a small body, a page of them for a large one. Ids, hashes, addresses
// and amounts are random, names and words come from lists, so that it shrinks as
// real ones do and not as a repeated line would.
func webhookBody(n int, seed uint64) []byte {
	w := webhook{rng: rand.New(rand.NewPCG(seed, 5))}
	w.put(`{"api_version":"2026-03-31","livemode":true,"request":{"id":"req_%s","idempotency_key":"%s-%s"},"data":[`,
		w.word(14), w.hex(8), w.hex(12))
	for w.event(); len(w.b) < n-700; w.event() {
		w.put(",")
	}
	w.put(`],"note":"`)
	for len(w.b) < n-2 {
		w.put("%s ", w.pick(words))
	}
	return append(w.b[:n-2], `"}`...)
}

type webhook struct {
	b   []byte
	rng *rand.Rand
}

var (
	words = []string{
		"order", "please", "deliver", "before", "noon", "the", "customer", "asked", "for", "a", "refund", "because",
		"item", "arrived", "damaged", "thank", "you", "subscription", "renewal", "invoice", "attached", "gift", "wrapped", "leave", "at", "door",
	}
	given  = []string{"Amelia", "Noah", "Olga", "Kwame", "Yuki", "Priya", "Lars", "Zoë", "José", "Mehmet", "Chloé", "Ivan"}
	family = []string{"Okafor", "Smith", "García", "Nguyen", "Müller", "Rossi", "Tanaka", "Kowalska", "Haddad", "Lindqvist"}
	kinds  = []string{"charge.succeeded", "invoice.paid", "customer.subscription.updated", "order.shipped", "payment_intent.created"}
)

func (w *webhook) put(format string, args ...any) { w.b = fmt.Appendf(w.b, format, args...) }

func (w *webhook) pick(from []string) string { return from[w.rng.IntN(len(from))] }

func (w *webhook) letters(n int, from string) string {
	p := make([]byte, n)
	for i := range p {
		p[i] = from[w.rng.IntN(len(from))]
	}
	return string(p)
}

func (w *webhook) hex(n int) string { return w.letters(n, "0123456789abcdef") }

func (w *webhook) word(n int) string {
	return w.letters(n, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
}

func (w *webhook) event() {
	who, name := w.pick(given), w.pick(family)
	w.put(`{"id":"evt_%s","object":"event","type":"%s","created":%d,"pending_webhooks":%d,`,
		w.word(24), w.pick(kinds), 1_790_000_000+w.rng.IntN(20_000_000), w.rng.IntN(3))
	w.put(`"object":{"id":"ch_%s","amount":%d,"currency":"%s","customer":"cus_%s","paid":%v,"description":null,`,
		w.word(24), w.rng.IntN(100_000), w.pick([]string{"eur", "usd", "jpy", "gbp"}), w.word(14), w.rng.IntN(2) == 0)
	w.put(`"billing_details":{"name":"%s %s","email":"%s.%s%d@example.com","phone":"+%d","address":{"line1":"%d %s Street","postal_code":"%05d","country":"%s"}},`,
		who, name, who, name, w.rng.IntN(100), w.rng.Int64N(1e12), 1+w.rng.IntN(300), w.pick(family), w.rng.IntN(100_000), w.pick([]string{"DE", "US", "JP", "FR"}))
	w.put(`"receipt_url":"https://pay.example.com/receipts/%s/%s","fingerprint":"%s","metadata":{"order":"%d","note":"%s %s %s"},`,
		w.word(16), w.word(30), w.hex(40), w.rng.IntN(1e9), w.pick(words), w.pick(words), w.pick(words))
	w.put(`"lines":[`)
	for i := range 1 + w.rng.IntN(3) {
		if i > 0 {
			w.put(",")
		}
		w.put(`{"sku":"%s","quantity":%d,"unit_amount":%d,"tax":{"rate":%.3f,"inclusive":false}}`,
			w.word(8), 1+w.rng.IntN(4), w.rng.IntN(20_000), w.rng.Float64()/4)
	}
	w.put(`]}}`)
}

// codec is one way to store bodies that was considered.
type codec struct {
	name   string
	encode func(dst, src []byte) []byte
	decode func(dst, src []byte) ([]byte, error)
}

func codecs(tb testing.TB) []codec {
	all := []codec{
		{"none", func(dst, src []byte) []byte { return append(dst, src...) }, func(dst, src []byte) ([]byte, error) { return append(dst, src...), nil }},
		{
			"s2", func(dst, src []byte) []byte { return s2.Encode(dst[:cap(dst)], src) },
			func(dst, src []byte) ([]byte, error) { return s2.Decode(dst[:cap(dst)], src) },
		},
		{
			"s2-better", func(dst, src []byte) []byte { return s2.EncodeBetter(dst[:cap(dst)], src) },
			func(dst, src []byte) ([]byte, error) { return s2.Decode(dst[:cap(dst)], src) },
		},
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression} {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
		if err != nil {
			tb.Fatal(err)
		}
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = e.Close(); d.Close() })
		all = append(all, codec{
			"zstd-" + level.String(), func(dst, src []byte) []byte { return e.EncodeAll(src, dst) },
			func(dst, src []byte) ([]byte, error) { return d.DecodeAll(src, dst) },
		})
	}
	return all
}

// BenchmarkCodec is what choosing the codec, its level and compressMin rests on: the
// share of a body that is left on disk, and the time of one core to make it and to
// undo it. Eight bodies take turns, as no two messages are the same.
func BenchmarkCodec(b *testing.B) {
	for _, size := range []int{256, 512, 1 << 10, 2 << 10, 16 << 10, 256 << 10} {
		var bodies [8][]byte
		for i := range bodies {
			bodies[i] = webhookBody(size, uint64(i))
		}
		for _, c := range codecs(b) {
			name := fmt.Sprintf("size=%d/codec=%s", size, c.name)
			b.Run("encode/"+name, func(b *testing.B) { benchEncode(b, c, bodies[:]) })
			b.Run("decode/"+name, func(b *testing.B) { benchDecode(b, c, bodies[:]) })
		}
	}
}

func benchEncode(b *testing.B, c codec, bodies [][]byte) {
	b.SetBytes(int64(len(bodies[0])))
	b.ReportAllocs()
	dst := make([]byte, 0, s2.MaxEncodedLen(len(bodies[0])))
	i, began := 0, cpuTime(b)
	for b.Loop() {
		c.encode(dst, bodies[i%len(bodies)])
		i++
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
	stored, all := 0, 0
	for _, body := range bodies {
		stored, all = stored+len(c.encode(dst, body)), all+len(body)
	}
	b.ReportMetric(100*float64(stored)/float64(all), "%-left")
}

func benchDecode(b *testing.B, c codec, bodies [][]byte) {
	b.SetBytes(int64(len(bodies[0])))
	b.ReportAllocs()
	var frames [][]byte
	for _, body := range bodies {
		frames = append(frames, bytes.Clone(c.encode(make([]byte, 0, s2.MaxEncodedLen(len(body))), body)))
	}
	dst := make([]byte, 0, len(bodies[0]))
	i, began := 0, cpuTime(b)
	for b.Loop() {
		if _, err := c.decode(dst, frames[i%len(frames)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
}

// cpuTime is the processor time that this process has used, so that a busy machine
// does not decide which codec is quick.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestCodecs: what the benchmark compares does what it says.
func TestCodecs(t *testing.T) {
	for _, size := range []int{256, 1 << 10, 16 << 10, 256 << 10} {
		body := webhookBody(size, 1)
		if len(body) != size {
			t.Fatalf("a body of %d bytes for %d", len(body), size)
		}
		for _, c := range codecs(t) {
			frame := c.encode(make([]byte, 0, s2.MaxEncodedLen(size)), body)
			if got, err := c.decode(make([]byte, 0, size), frame); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s, %d bytes: %v", c.name, size, err)
			}
		}
	}
}
