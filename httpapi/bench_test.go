package httpapi

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/engine"
)

// noEngine accepts everything at once.
type noEngine struct{ *fakeEngine }

func (noEngine) Publish(*engine.Publish) (engine.Receipt, error) {
	return engine.Receipt{MessageID: "msg_2345678923456789234567"}, nil
}

func benchRequest() []byte {
	return []byte(requestBody("POST /v2/publish/https://h.example.com/hooks/orders?shop=12", strings.Repeat("x", 1024),
		"Accept: */*", "User-Agent: node", "Content-Type: application/json", "Upstash-Method: POST", "Upstash-Retries: 5",
		"Upstash-Forward-X-Trace: 4bf92f3577b34da6a3ce929d0e0e4736", "Upstash-Telemetry-Sdk: upstash-qstash-js@2.12.0"))
}

// BenchmarkPublish is one publish of 1 KiB over loopback, the engine left out,
// beside fasthttp answering the same request with an echo of 60 bytes under the
// same timeouts.
func BenchmarkPublish(b *testing.B) {
	b.Run("server=tidemill", func(b *testing.B) {
		srv, err := New(Options{Engine: noEngine{newFake()}})
		if err != nil {
			b.Fatal(err)
		}
		benchServer(b, srv.Serve)
	})
	b.Run("server=fasthttp-echo", func(b *testing.B) {
		srv := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("application/json")
			ctx.SetBody(ctx.PostBody()[:60])
		}, NoDefaultServerHeader: true, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, WriteTimeout: 30 * time.Second}
		benchServer(b, srv.Serve)
	})
}

func benchServer(b *testing.B, serve func(net.Listener) error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go serve(ln) //nolint:errcheck // it ends with the listener
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	raw, br := benchRequest(), bufio.NewReader(c)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(raw); err != nil {
			b.Fatal(err)
		}
		readBench(b, br)
	}
	c.Close()
	ln.Close()
}

// readBench reads one answer without allocating.
func readBench(b *testing.B, br *bufio.Reader) {
	var length int
	for first := true; ; first = false {
		line, err := br.ReadSlice('\n')
		if err != nil || first && !bytes.Contains(line, []byte(" 200 ")) {
			b.Fatalf("%q %v", line, err)
		}
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			n, _ := digits(bytes.TrimSpace(v))
			length = int(n)
		}
	}
	if _, err := br.Discard(length); err != nil {
		b.Fatal(err)
	}
}

// replay is a connection that has the same request again and again.
type replay struct {
	net.Conn
	raw  []byte
	left []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		r.left = r.raw
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// BenchmarkExchange is the same without any pipe or goroutine switch: head,
// authentication, options, answer.
func BenchmarkExchange(b *testing.B) {
	b.Run("options=usual", func(b *testing.B) { benchExchange(b, benchRequest()) })
	b.Run("options=line", func(b *testing.B) { benchExchange(b, lineRequest()) })
}

// lineRequest is one publish with a queue, an ordering key and flow control.
func lineRequest() []byte {
	return []byte(requestBody("POST /v2/enqueue/orders/https://h.example.com/hooks/orders?shop=12", strings.Repeat("x", 1024),
		"Content-Type: application/json", "Upstash-Flow-Control-Key: shop-12", "Upstash-Flow-Control-Value: parallelism=5, rate=10, period=1m",
		"Tidemill-Ordering-Key: customer-7", "Tidemill-Flow-Control-Mode: sliding"))
}

func benchExchange(b *testing.B, raw []byte) {
	once := exchanger(b, raw)
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}

// exchanger returns what serves one request each time.
func exchanger(t testing.TB, raw []byte) func() {
	client, server := net.Pipe()
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	go io.Copy(io.Discard, client) //nolint:errcheck // it ends with the pipe
	srv, err := New(Options{Engine: noEngine{newFake()}})
	if err != nil {
		t.Fatal(err)
	}
	c := newTestConn(srv, &replay{Conn: discardConn{server}, raw: raw})
	return func() {
		if !c.idle() {
			t.Fatal("the connection ended")
		}
		x, err := c.next()
		if err != nil || !c.end(x, nil) {
			t.Fatalf("%v", err)
		}
	}
}

type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error) { return len(p), nil }
