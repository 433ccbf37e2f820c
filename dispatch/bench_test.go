package dispatch

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// newEcho starts a fasthttp server that answers with the body it got.
func newEcho(b *testing.B) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.Response.SetBody(ctx.Request.Body()) }}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	b.Cleanup(func() {
		_ = srv.Shutdown()
		<-done
	})
	return "http://" + ln.Addr().String()
}

// spread runs b.N calls of do on n goroutines; each gets its own from make.
func spread(b *testing.B, n int, make func() (do func() error)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			do := make()
			for next.Add(1) <= int64(b.N) {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

var benchHeader = []Header{
	{"User-Agent", "Upstash-QStash"},
	{"Content-Type", "application/json"},
	{"Upstash-Message-Id", "msg_26hZCxZCuWyyTWPmSVBrNB882AKemqyIYZd6"},
	{"Upstash-Retried", "0"},
	{"Upstash-Signature", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJVcHN0YXNoIn0.n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"},
}

// BenchmarkDo measures one delivery of 1 KiB over loopback, with the server in the
// same process, against the same request through a bare fasthttp.HostClient: the
// difference is what checking, timing and bounding cost.
func BenchmarkDo(b *testing.B) {
	body := make([]byte, 1024)
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("client=dispatch/goroutines=%d", n), func(b *testing.B) {
			url := newEcho(b) + "/hook?x=1"
			c := newClient(b, Options{})
			spread(b, n, func() func() error {
				a := &Attempt{Method: "POST", URL: url, Header: benchHeader, Body: body, Timeout: time.Minute}
				r := new(Result)
				return func() error {
					c.Do(a, r)
					return r.Err
				}
			})
		})
		b.Run(fmt.Sprintf("client=bare/goroutines=%d", n), func(b *testing.B) {
			url := newEcho(b)
			hc := &fasthttp.HostClient{
				Addr: url[len("http://"):], MaxConns: 1024, MaxIdleConnDuration: 100 * time.Millisecond,
				// fasthttp's own dialler leaves a goroutine behind for good.
				Dial: func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) },
			}
			b.Cleanup(hc.CloseIdleConnections)
			spread(b, n, func() func() error {
				req, resp := new(fasthttp.Request), new(fasthttp.Response)
				return func() error {
					req.Reset()
					req.SetRequestURI(url + "/hook?x=1")
					req.Header.SetMethod("POST")
					for _, h := range benchHeader {
						req.Header.Add(h.Name, h.Value)
					}
					req.SetBodyRaw(body)
					return hc.DoTimeout(req, resp, time.Minute)
				}
			})
		})
	}
}

// BenchmarkCheckURL is paid once per publish.
func BenchmarkCheckURL(b *testing.B) {
	p := mustPolicy(b, PolicyOptions{})
	for _, u := range []string{"https://api.example.com/v1/hooks/orders?source=tidemill", "https://93.184.216.34/hook"} {
		b.Run("url="+u[:20], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := p.CheckURL(u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestWaitingMemory: what an attempt that waits for its answer holds. With a read
// buffer of MaxHeader per attempt it would be above 64 KiB.
func TestWaitingMemory(t *testing.T) {
	const n = 200
	arrived, release := make(chan struct{}, n), make(chan struct{})
	s := newRawServer(t, func(c *rawConn) {
		if c.request() != "" {
			arrived <- struct{}{}
			<-release
			c.answer("HTTP/1.1 204 x\r\n\r\n")
			c.hold()
		}
	})
	c := newClient(t, Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { do(t, c, Attempt{Method: "GET", URL: s.URL, Timeout: time.Minute}).want(t, OK, 204, "") })
	}
	for range n {
		<-arrived
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	close(release)
	wg.Wait()
	// The server's side of each connection is in the figure too.
	per := (int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)) / n
	t.Logf("%d bytes per waiting attempt, heap and stacks, both ends", per)
	if per > 48<<10 {
		t.Errorf("%d bytes per waiting attempt", per)
	}
}
