package dispatch

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"testing"
)

// judge makes an exchange that has read b, and no more comes.
func judged(method string, b []byte, parse func(x *exchange) (keep, ok bool)) (r Result, keep, ok bool) {
	x := exchangePool.New().(*exchange)
	x.a, x.r, x.keep = &Attempt{Method: method}, &r, 1<<20
	x.got, x.budget, x.reads = len(b), len(b), 1
	keep, ok = parse(x)
	return r, keep, ok
}

func byPlain(b []byte) func(x *exchange) (keep, ok bool) {
	return func(x *exchange) (keep, ok bool) { return x.plain(bytes.Clone(b)) }
}

func byFasthttp(b []byte) func(x *exchange) (keep, ok bool) {
	return func(x *exchange) (keep, ok bool) {
		x.ahead = b
		keep, err := x.receiveAny()
		return keep, err == nil
	}
}

// sorted puts header lines in an order that does not depend on who parsed them; those of
// one name keep theirs.
func sorted(hs []Header) []Header {
	hs = slices.Clone(hs)
	slices.SortStableFunc(hs, func(a, b Header) int { return cmp.Compare(a.Name, b.Name) })
	return hs
}

// samePlain fails if an answer is plain and fasthttp makes something else of it.
func samePlain(t *testing.T, method string, b []byte) (plain bool) {
	got, keep, plain := judged(method, b, byPlain(b))
	if !plain {
		return false
	}
	want, wantKeep, ok := judged(method, b, byFasthttp(b))
	if !ok || keep != wantKeep || got.Status != want.Status || string(got.Body) != string(want.Body) || !slices.Equal(sorted(got.Header), sorted(want.Header)) {
		t.Fatalf("%s of %q:\ngot  %d %q %q, kept %v\nwant %d %q %q, kept %v, %v", method, b,
			got.Status, got.Header, got.Body, keep, want.Status, want.Header, want.Body, wantKeep, ok)
	}
	return true
}

// TestPlain says what is plain and what is not.
func TestPlain(t *testing.T) {
	for _, tc := range []struct {
		answer string
		plain  bool
	}{
		{ok200, true},
		{ok200 + "more", true}, // and the connection is not kept
		{"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\ncontent-type: text/plain; charset=utf-8\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nok", true},
		{"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", true},
		{"HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", true},
		{"HTTP/1.1 500 a\tb \xc3\xbc\r\nContent-Length:0\r\nSet-Cookie: a=b; c\r\nset-cookie: d=\"e\"\r\nX-Blank: \t \r\nX-9_: \xff \r\n\r\n", true},
		{"HTTP/1.1 204\r\n\r\n", false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 100 Continue\r\n\r\n" + ok200, false},
		{"HTTP/1.1 200 OK\r\n\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false},
		{"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nServer: a\r\nServer: b\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", plainLines) + "Content-Length: 2\r\n\r\nok", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r", false},
		{"HTTP/1.1 200 ", false},
	} {
		if got := samePlain(t, "POST", []byte(tc.answer)); got != tc.plain {
			t.Errorf("%q is plain: %v", tc.answer, got)
		}
		for cut := range tc.answer { // no piece of one is taken for a whole
			samePlain(t, "POST", []byte(tc.answer[:cut]))
			samePlain(t, "HEAD", []byte(tc.answer[:cut]))
		}
	}
}

// FuzzPlain: what is taken for a plain answer is what fasthttp would take it for.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(ok200+ok200), false)
	f.Add([]byte("HTTP/1.1 204 x\r\nServer: a\r\nX-A:  b \r\nset-cookie: c=d\r\nConnection: keep-alive\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.1 200 \r\ncontent-length: 002\r\ntrailer: X\r\nupgrade: h2c\r\nContent-Encoding: gzip\r\n\r\nab"), true)
	f.Fuzz(func(t *testing.T, b []byte, head bool) {
		method := "POST"
		if head {
			method = "HEAD"
		}
		if len(b) <= readBufferSmall {
			samePlain(t, method, b)
		}
	})
}

// BenchmarkParse compares the two on what a server of fasthttp's answers.
func BenchmarkParse(b *testing.B) {
	answer := []byte("HTTP/1.1 200 OK\r\nServer: fasthttp\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nok")
	for name, by := range map[string]func([]byte) func(*exchange) (bool, bool){"plain": byPlain, "fasthttp": byFasthttp} {
		b.Run("by="+name, func(b *testing.B) {
			x := exchangePool.New().(*exchange)
			x.a, x.r, x.keep = &Attempt{Method: "POST"}, new(Result), 1<<20
			b.ReportAllocs()
			for b.Loop() {
				x.got, x.budget, x.reads = len(answer), len(answer), 1
				if _, ok := by(answer)(x); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}
