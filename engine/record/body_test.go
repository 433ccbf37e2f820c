package record

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// jsonBody returns about n bytes of the JSON that webhooks carry, the same in
// every run.
func jsonBody(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := []byte(`{"events":[`)
	for i := 0; len(b) < n-120; i++ {
		b = fmt.Appendf(b, `{"id":%d,"type":"order.%s","at":"2027-01-15T08:%02d:%02dZ","amount":%d.%02d,"customer":"c_%08x"},`,
			i, []string{"created", "paid", "shipped"}[rng.IntN(3)], rng.IntN(60), rng.IntN(60), rng.IntN(1000), rng.IntN(100), rng.Uint32())
	}
	b = append(b, `{}]}`...)
	for len(b) < n {
		b = append(b, ' ')
	}
	return b[:n]
}

func randomBody(n int) []byte {
	rng := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// TestBody: every body comes back byte for byte, and is compressed where that
// pays.
func TestBody(t *testing.T) {
	for _, c := range []struct {
		name       string
		body       []byte
		compressed bool
	}{
		{"nil", nil, false},
		{"empty", []byte{}, false},
		{"one byte", []byte{0}, false},
		{"just too small", bytes.Repeat([]byte("a"), compressMin-1), false},
		{"just big enough", bytes.Repeat([]byte("a"), compressMin), true},
		{"text", []byte(strings.Repeat("It is a truth universally acknowledged. ", 100)), true},
		{"json 1 KiB", jsonBody(1 << 10), false},
		{"json 2 KiB", jsonBody(2 << 10), true},
		{"webhook 2 KiB", webhookBody(2<<10, 1), true},
		{"json 1 MiB", jsonBody(1 << 20), true},
		{"zeros 1 MiB", make([]byte, 1<<20), true},
		{"zeros 64 MiB", make([]byte, bodyMax), true},
		{"random 600 B", randomBody(600), false},
		{"random 1 MiB", randomBody(1 << 20), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Message{URL: "http://a.example/"}
			m.SetBody(c.body, nil)
			if got := m.Flags&FlagZstd != 0; got != c.compressed {
				t.Errorf("%d bytes stored as %d, compressed %v", len(c.body), len(m.Body), got)
			}
			if !c.compressed && len(c.body) > 0 && &m.Body[0] != &c.body[0] {
				t.Error("a body stored as it came was copied")
			}
			var back Message
			if err := DecodeMessage(m.Append(nil), &back); err != nil {
				t.Fatal(err)
			}
			for _, dst := range [][]byte{nil, make([]byte, 3, 100), make([]byte, 0, len(c.body)), make([]byte, 2<<20)} {
				got, err := back.OpenBody(dst)
				if err != nil || !bytes.Equal(got, c.body) {
					t.Fatalf("into %d bytes: %d bytes of %d, %v", cap(dst), len(got), len(c.body), err)
				}
			}
		})
	}
}

// TestSetBodyDoesNotPay: a body that sampling takes for text and that does not
// shrink is stored as it came.
func TestSetBodyDoesNotPay(t *testing.T) {
	body := randomBody(8 << 10)
	for i := range body {
		body[i] &= 0x7F // 128 values: sampled as text now and then, never one eighth smaller
	}
	for i := 0; i < len(body); i += len(body) / 256 {
		body[i] = 'x'
	}
	if !compressible(body) {
		t.Fatal("the sample does not look like text")
	}
	var m Message
	scratch := m.SetBody(body, nil)
	if m.Flags != 0 || &m.Body[0] != &body[0] {
		t.Fatalf("stored %d bytes as %d with flags %d", len(body), len(m.Body), m.Flags)
	}
	if cap(scratch) == 0 {
		t.Error("the memory that was tried with is not handed back")
	}
}

// TestBodyDoesNotAllocate: with memory to put it in, a body is compressed and opened
// without any of its own.
func TestBodyDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool forgets things on purpose")
	}
	for _, size := range []int{2 << 10, 16 << 10, 256 << 10} {
		var m Message
		body, scratch, dst := webhookBody(size, 1), make([]byte, 0, size), make([]byte, 0, size)
		if n := testing.AllocsPerRun(50, func() { scratch = m.SetBody(body, scratch) }); n != 0 {
			t.Errorf("%d bytes: SetBody allocates %v times", size, n)
		}
		if m.Flags != FlagZstd {
			t.Fatalf("%d bytes of JSON were not compressed", size)
		}
		if n := testing.AllocsPerRun(50, func() { dst, _ = m.OpenBody(dst) }); n != 0 || !bytes.Equal(dst, body) {
			t.Errorf("%d bytes: OpenBody allocates %v times", size, n)
		}
	}
}

// TestSetBodyAgain: a Message may be used for another body.
func TestSetBodyAgain(t *testing.T) {
	var m Message
	var scratch []byte
	for _, body := range [][]byte{jsonBody(4 << 10), []byte("plain"), randomBody(4 << 10), nil, jsonBody(2 << 10)} {
		scratch = m.SetBody(body, scratch)
		got, err := m.OpenBody(nil)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: %d came back, %v", len(body), len(got), err)
		}
	}
}

// TestOpenBodyReusesMemory: a worker's buffer keeps what it has grown to.
func TestOpenBodyReusesMemory(t *testing.T) {
	var large, small Message
	large.SetBody(jsonBody(64<<10), nil)
	small.SetBody(jsonBody(4<<10), nil)
	buf, err := large.OpenBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	first := &buf[0]
	for _, m := range []*Message{&small, &large, &small, &large} {
		if buf, err = m.OpenBody(buf); err != nil {
			t.Fatal(err)
		}
		if &buf[0] != first {
			t.Fatalf("%d bytes were put elsewhere, though there was room", m.BodyLen)
		}
	}
}

// TestDamagedFrame flips every bit-pattern position of a frame: it is refused,
// or, where the frame's own header is redundant, gives the same body.
func TestDamagedFrame(t *testing.T) {
	want := jsonBody(4 << 10)
	var m Message
	m.SetBody(want, nil)
	good := bytes.Clone(m.Body)
	refused := 0
	for i := range good {
		for _, mask := range []byte{0x01, 0x80, 0xFF} {
			m.Body = bytes.Clone(good)
			m.Body[i] ^= mask
			got, err := m.OpenBody(nil)
			if err == nil && !bytes.Equal(got, want) {
				t.Fatalf("byte %d xor %#x: another body was returned", i, mask)
			}
			if err != nil {
				refused++
			}
		}
	}
	if refused < 3*len(good)*9/10 {
		t.Errorf("only %d of %d damaged frames were refused", refused, 3*len(good))
	}
}

func TestBodyOfAnotherLength(t *testing.T) {
	for name, set := range map[string][]byte{"stored": []byte("plain"), "compressed": jsonBody(4 << 10)} {
		var m Message
		m.SetBody(set, nil)
		for _, n := range []int{-1, 1} {
			o := m
			o.BodyLen = uint32(int(m.BodyLen) + n)
			if _, err := o.OpenBody(nil); err == nil {
				t.Errorf("%s: a body of %d bytes passes for one of %d", name, m.BodyLen, o.BodyLen)
			}
		}
	}
}

// bomb returns n zero bytes as one frame; its header gives their number or not.
func bomb(t testing.TB, n int, sized bool) []byte {
	var out bytes.Buffer
	e, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, n)
	if sized {
		return e.EncodeAll(zeros, nil)
	}
	if _, err := e.Write(zeros); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Flush(), e.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBombIsBounded: a few KiB that grow to 100 MiB cost what the message says
// its body is long, and a message that says more than any body may be is refused
// before anything is allocated.
func TestBombIsBounded(t *testing.T) {
	const size = 100 << 20
	for _, c := range []struct {
		name  string
		frame []byte
		says  uint32
		limit uint64
	}{
		{"sized", bomb(t, size, true), 1000, 1 << 20},
		{"unsized", bomb(t, size, false), 1000, 4 << 20},
		{"many frames", bytes.Repeat(bomb(t, 1<<20, true), 100), 1000, 1 << 20},
		{"says 100 MiB", bomb(t, size, true), size, 1 << 20},
		{"says 4 GiB", bomb(t, size, true), 1<<32 - 1, 1 << 20},
	} {
		m := Message{Flags: FlagZstd, Body: c.frame, BodyLen: c.says}
		warm := Message{}
		warm.SetBody(jsonBody(4<<10), nil)
		if _, err := warm.OpenBody(nil); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := m.OpenBody(nil)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: %d bytes for a message that says %d", c.name, len(out), c.says)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > c.limit {
			t.Errorf("%s: %d bytes allocated (%v)", c.name, got, err)
		}
	}
}

// FuzzOpenBody: whatever stands for a frame, opening it returns, and a body it
// gives is as long as the message says.
func FuzzOpenBody(f *testing.F) {
	var m Message
	m.SetBody(jsonBody(4<<10), nil)
	f.Add(m.Body, m.BodyLen)
	f.Add(m.Body[:len(m.Body)/2], m.BodyLen)
	f.Add(bomb(f, 1<<20, false), uint32(1000))
	f.Add([]byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, frame []byte, n uint32) {
		m := Message{Flags: FlagZstd, Body: frame, BodyLen: n % (1 << 20)}
		if out, err := m.OpenBody(nil); err == nil && len(out) != int(m.BodyLen) {
			t.Fatalf("%d bytes for a message that says %d", len(out), m.BodyLen)
		}
	})
}

// FuzzBody: what SetBody stores, OpenBody returns.
func FuzzBody(f *testing.F) {
	f.Add([]byte{})
	f.Add(jsonBody(4 << 10))
	f.Add(randomBody(4 << 10))
	f.Fuzz(func(t *testing.T, body []byte) {
		var m Message
		m.SetBody(body, nil)
		if len(m.Body) > len(body) {
			t.Fatalf("%d bytes stored as %d", len(body), len(m.Body))
		}
		got, err := m.OpenBody(nil)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: %d came back, %v", len(body), len(got), err)
		}
	})
}
