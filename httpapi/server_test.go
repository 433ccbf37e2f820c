package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/engine"
)

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{
		{},
		{Engine: newFake(), HeaderMax: 100},
		{Engine: newFake(), BatchMax: -1},
		{Engine: newFake(), ReadTimeout: -1},
		{Engine: newFake(), Concurrency: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// TestIdleUploads is finding 3: uploads without a token that send little of a
// large body reserve nothing; each is answered at once, and memory stays.
// TIDEMILL_LONG_TESTS has the full 2,000.
func TestIdleUploads(t *testing.T) {
	conns := 200
	if longTests() {
		conns = 2000
	}
	tests := []struct{ name, head string }{
		{"no token", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nContent-Length: 4000000\r\n\r\n"},
		{"good token, idle", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + goodToken + "\r\nContent-Length: 4000000\r\n\r\n"},
		{"half a head", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nX: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startOn(t, listenPlain(t), func(o *Options) { o.ReadTimeout = time.Minute; o.Concurrency = 4000 }) // a record would take memory
			s.eng.limits.MessageMax = 8 << 20
			before := inUse()
			part := strings.Repeat("x", 5000)
			open := make([]net.Conn, conns)
			for i := range open {
				open[i] = s.dial(t)
				fmt.Fprint(open[i], tt.head+part)
			}
			if tt.name != "no token" {
				waitFor(t, func() bool { return s.active() == conns })
			} else {
				for _, c := range open {
					if a := readAnswer(t, bufio.NewReader(c), "POST"); a.StatusCode != 401 {
						t.Fatalf("got %d %s", a.StatusCode, a.body)
					}
				}
			}
			used := inUse() - before
			t.Logf("%d connections: %d KiB, %d bytes each", conns, used>>10, used/int64(conns))
			if most := int64(conns) * 32 << 10; used > most {
				t.Errorf("%d bytes in use, at most %d were to be", used, most)
			}
			for _, c := range open {
				c.Close()
			}
		})
	}
}

// active counts the connections that are in the middle of a request.
func (s *site) active() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		if state := c.state.Load(); state == connHead || state == connActive {
			n++
		}
	}
	return n
}

// inUse is the memory of heap and stacks, both ends of the connections included.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestInflightBytes: what does not fit the bound is refused, and the bound is
// free again when the requests are over.
func TestInflightBytes(t *testing.T) {
	s := start(t, func(o *Options) { o.InflightBytes = 300_000 })
	s.eng.block = make(chan struct{})
	body := strings.Repeat("x", 200_000)
	c := s.dial(t)
	io.WriteString(c, requestBody("POST /v2/publish/http://h", body)) //nolint:errcheck // the answer tells
	waitFor(t, func() bool { return s.inflight.used.Load() >= 200_000 })
	a, closed := s.send(t, requestBody("POST /v2/publish/http://h", body))
	if a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || !closed {
		t.Errorf("got %d %s %v", a.StatusCode, a.body, a.Header)
	}
	close(s.eng.block)
	if a := readAnswer(t, bufio.NewReader(c), "POST"); a.StatusCode != 200 {
		t.Errorf("the first: %d %s", a.StatusCode, a.body)
	}
	waitFor(t, func() bool { return s.inflight.used.Load() == 0 })
	for _, raw := range []string{ // every way a body can end
		requestBody("POST /v2/publish/http://h", "small"),
		request("POST /v2/publish/http://h", "Transfer-Encoding: chunked") + "5\r\nabcde\r\n0\r\n\r\n",
		request("POST /v2/publish/http://h", "Transfer-Encoding: chunked") + "5\r\nabcdeXY",
		request("POST /v2/publish/http://h", "Transfer-Encoding: chunked") + "fffffff\r\n",
		request("POST /v2/publish/http://h", "Content-Length: 9999999"),
		requestBody("POST /v2/publish/nope", strings.Repeat("x", 100_000)),
	} {
		s.send(t, raw)
	}
	waitFor(t, func() bool { return s.inflight.used.Load() == 0 })
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

func TestBodySizes(t *testing.T) {
	s := start(t, nil)
	for _, n := range []int{0, 1, 3000, 4095, 4096, 4097, 16 << 10, 16<<10 + 1, 100_000, 1 << 20} {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(i * 7)
		}
		a, _ := s.send(t, requestBody("POST /v2/publish/http://h", string(body)))
		got := s.eng.messages()
		if a.StatusCode != 200 || string(got[len(got)-1].Body) != string(body) {
			t.Errorf("%d bytes: %d %s, arrived %d", n, a.StatusCode, a.body, len(got[len(got)-1].Body))
		}
	}
	if a, closed := s.send(t, requestBody("POST /v2/publish/http://h", strings.Repeat("x", 1<<20+1))); a.StatusCode != 413 || !closed ||
		a.body != `{"error":"the message is larger than the limit of 1048576 bytes"}` {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}

// TestRefusedUploadIsHeard: a client that sends all of a refused body before it
// reads still gets the answer and no reset.
func TestRefusedUploadIsHeard(t *testing.T) {
	s := start(t, nil)
	for range 20 {
		a, _ := s.send(t, "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("x", 200_000))
		if a.StatusCode != 401 {
			t.Fatalf("got %d %s", a.StatusCode, a.body)
		}
	}
}

// TestHugeUploadIsHeard: one that is far over the limit is too, if its token is
// good; clients take a reset for a failed network and send it all again.
func TestHugeUploadIsHeard(t *testing.T) {
	s := start(t, nil)
	const size = 24 << 20
	for _, framing := range []string{fmt.Sprintf("Content-Length: %d", size), "Transfer-Encoding: chunked"} {
		body := strings.Repeat("x", size)
		if strings.HasPrefix(framing, "T") {
			body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body)
		}
		a, _ := s.send(t, request("POST /v2/publish/http://h", framing)+body)
		if a.StatusCode != 413 {
			t.Errorf("%s: got %d %s", framing, a.StatusCode, a.body)
		}
	}
	s.expectNothing(t)
}

func TestConnectionLimits(t *testing.T) {
	s := start(t, func(o *Options) { o.Concurrency = 3; o.MaxConnsPerIP = 2 })
	var held []net.Conn
	for range 2 {
		c := s.dial(t)
		fmt.Fprint(c, request("GET /v2/keys"))
		readAnswer(t, bufio.NewReader(c), "GET")
		held = append(held, c)
	}
	if a := readAnswer(t, bufio.NewReader(s.dial(t)), "GET"); a.StatusCode != 429 || a.body != `{"error":"too many connections from your address"}` ||
		a.Header.Get("Burst-RateLimit-Limit") != "2" || a.Header.Get("Burst-RateLimit-Remaining") != "0" || a.Header.Get("Burst-RateLimit-Reset") == "" {
		t.Errorf("per address: %d %s", a.StatusCode, a.body)
	}
	held[0].Close()
	waitFor(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.mu.conns) == 1
	})
	if a, _ := s.send(t, request("GET /v2/keys")); a.StatusCode != 200 {
		t.Errorf("after one left: %d %s", a.StatusCode, a.body)
	}

	few := start(t, func(o *Options) { o.Concurrency = 1 })
	few.occupy(t)
	if a := readAnswer(t, bufio.NewReader(few.dial(t)), "GET"); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("overall: %d %s", a.StatusCode, a.body)
	}
}

// occupy takes a connection with a request that is under way until the test ends.
func (s *site) occupy(t *testing.T) {
	t.Helper()
	s.eng.block = make(chan struct{})
	t.Cleanup(func() { close(s.eng.block) })
	fmt.Fprint(s.dial(t), requestBody("POST /v2/publish/http://h", "x"))
	waitFor(t, func() bool { return s.inflight.used.Load() > 0 })
}

// TestSilentConnectionsMakeRoom: neither idle connections nor those that never finish a
// head keep others out; what is under way is left alone.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	for _, tt := range []struct{ name, sent string }{
		{"nothing sent", ""},
		{"half a head", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nX: "},
		{"idle after a request", request("GET /v2/keys")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, func(o *Options) { o.Concurrency = 4; o.MaxConnsPerIP = 100 })
			s.occupy(t)
			var silent []net.Conn
			for range 3 {
				c := s.dial(t)
				io.WriteString(c, tt.sent) //nolint:errcheck // the server tells
				if strings.HasPrefix(tt.sent, "GET") {
					readAnswer(t, bufio.NewReader(c), "GET")
				}
				silent = append(silent, c)
			}
			waitFor(t, func() bool { return s.connections() == 4 && (tt.sent == "" || s.silent() == 3) })
			if a, _ := s.send(t, request("GET /v2/keys")); a.StatusCode != 200 {
				t.Fatalf("a new client: %d %s", a.StatusCode, a.body)
			}
			ended := 0
			for _, c := range silent {
				c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) //nolint:errcheck // the read tells
				if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					ended++
				}
			}
			if ended != 1 {
				t.Errorf("%d of the silent connections were closed, want 1", ended)
			}
			if used := s.inflight.used.Load(); used == 0 {
				t.Error("the request under way was cut")
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if n := s.mu.perIP["127.0.0.1"]; n != len(s.mu.conns) {
				t.Errorf("%d connections of the address are counted, there are %d", n, len(s.mu.conns))
			}
		})
	}
}

func (s *site) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

// silent counts the connections that could make room.
func (s *site) silent() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		if state := c.state.Load(); state == connIdle || state == connHead {
			n++
		}
	}
	return n
}

// TestRefusedConnectionIsHeard: a client that has sent its request when its connection
// is refused gets the answer and no reset, unless too many linger already.
func TestRefusedConnectionIsHeard(t *testing.T) {
	s := start(t, func(o *Options) { o.Concurrency = 1 })
	s.occupy(t)
	for range 20 {
		c := s.dial(t)
		io.WriteString(c, requestBody("POST /v2/publish/http://h", strings.Repeat("x", 100_000))) //nolint:errcheck // the answer tells
		if a := readAnswer(t, bufio.NewReader(c), "POST"); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !a.Close {
			t.Fatalf("got %d %s %v", a.StatusCode, a.body, a.Header)
		}
		c.Close()
		waitFor(t, func() bool { return s.refusing.used.Load() == 0 })
	}
	lingers := s.dial(t)
	readAnswer(t, bufio.NewReader(lingers), "GET")
	waitFor(t, func() bool { return s.refusing.used.Load() == 1 })
	over := s.dial(t)
	if a := readAnswer(t, bufio.NewReader(over), "GET"); a.StatusCode != 503 {
		t.Errorf("one more: %d", a.StatusCode)
	}
	if used := s.refusing.used.Load(); used != 1 {
		t.Errorf("%d connections linger, the bound is 1", used)
	}
	lingers.Close()
}

// TestBatchItemsAreCounted: elements of a few bytes each cannot get past the bound.
func TestBatchItemsAreCounted(t *testing.T) {
	s := start(t, func(o *Options) { o.InflightBytes = 8192 * batchItemCost })
	item := `{"destination":"http://h/"},`
	batch := func(n int) string {
		return requestBody("POST /v2/batch", "["+strings.TrimSuffix(strings.Repeat(item, n), ",")+"]")
	}
	if a, _ := s.send(t, batch(4000)); a.StatusCode != 200 {
		t.Fatalf("within the bound: %d %.200s", a.StatusCode, a.body)
	}
	stored := len(s.eng.messages())
	if a, _ := s.send(t, batch(8192)); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || len(s.eng.messages()) != stored {
		t.Errorf("above the bound: %d %.200s, %d more stored", a.StatusCode, a.body, len(s.eng.messages())-stored)
	}
	waitFor(t, func() bool { return s.inflight.used.Load() == 0 })
}

// TestShutdown: a request under way is answered, idle connections end, new ones
// are not taken.
func TestShutdown(t *testing.T) {
	s := start(t, nil)
	s.eng.block = make(chan struct{})
	idle, busy := s.dial(t), s.dial(t)
	fmt.Fprint(idle, request("GET /v2/keys"))
	idleReader := bufio.NewReader(idle)
	readAnswer(t, idleReader, "GET")
	fmt.Fprint(busy, requestBody("POST /v2/publish/http://h", "x"))
	waitFor(t, func() bool { return s.inflight.used.Load() == 1 })

	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	if _, err := idleReader.ReadByte(); err == nil {
		t.Error("the idle connection goes on")
	}
	select {
	case err := <-stopped:
		t.Fatalf("shutdown did not wait: %v", err)
	default:
	}
	close(s.eng.block)
	if a := readAnswer(t, bufio.NewReader(busy), "POST"); a.StatusCode != 200 || !a.Close {
		t.Errorf("got %d %s, close %t", a.StatusCode, a.body, a.Close)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", s.addr); err == nil {
		c.Close()
		t.Error("still accepting")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := s.Serve(ln); !errors.Is(err, ErrStopped) {
		t.Errorf("serve after shutdown: %v", err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	t.Run("connection=recorded", func(t *testing.T) { givesUp(t, listen(t)) })
	t.Run("connection=plain", func(t *testing.T) { givesUp(t, listenPlain(t)) }) // with turns
}

func givesUp(t *testing.T, ln net.Listener) {
	s := startOn(t, ln, nil)
	s.eng.block = make(chan struct{})
	c := s.dial(t)
	fmt.Fprint(c, requestBody("POST /v2/publish/http://h", "x"))
	waitFor(t, func() bool { return s.inflight.used.Load() == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection was not cut: %v", err)
	}
	close(s.eng.block)
}

func TestFallback(t *testing.T) {
	s := start(t, func(o *Options) {
		o.Fallback = func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/panic" {
				panic("failpoint")
			}
			ctx.SetStatusCode(201)
			fmt.Fprintf(ctx, "%s %s %s %s", ctx.Method(), ctx.RequestURI(), ctx.Request.Header.Peek("X-A"), ctx.PostBody())
		}
	})
	a, closed := s.send(t, "POST /dev/catch//x?y=1 HTTP/1.1\r\nHost: t\r\nx-a: b\r\nContent-Length: 4\r\n\r\nbody")
	if a.StatusCode != 201 || a.body != "POST /dev/catch//x?y=1 b body" || closed {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
	if a, _ := s.send(t, "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 1048577\r\n\r\n"); a.StatusCode != 413 {
		t.Errorf("too large: %d %s", a.StatusCode, a.body)
	}
	if a, closed := s.send(t, "GET /panic HTTP/1.1\r\nHost: t\r\n\r\n"); a.StatusCode != 500 || !closed {
		t.Errorf("panic: %d %s", a.StatusCode, a.body)
	}
	for range 3 { // pooled state of the earlier ones does not leak into the API's answers
		if a, _ := s.send(t, request("GET /v2/keys")); a.StatusCode != 200 || a.body != `{"current":"sig_a","next":"sig_b"}` {
			t.Errorf("api: %d %s", a.StatusCode, a.body)
		}
	}
}

// TestConcurrentPublishes: pooled memory is never shared by two requests.
func TestConcurrentPublishes(t *testing.T) {
	s := start(t, nil)
	wrong := make(chan string, 1)
	s.eng.answer = func(p *engine.Publish) (engine.Receipt, error) {
		if want := p.URL[len("http://h/"):]; string(p.Body) != want || p.Header[0].Value != want || p.DedupID != want {
			select {
			case wrong <- fmt.Sprintf("%+v", p):
			default:
			}
		}
		return engine.Receipt{MessageID: "msg_" + strings.Clone(p.DedupID)}, nil
	}
	done := make(chan error)
	const clients = 8
	for i := range clients {
		c := s.dial(t)
		go func() { done <- publishMany(c, i) }()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	select {
	case p := <-wrong:
		t.Errorf("mixed up: %s", p)
	default:
	}
}

func publishMany(c net.Conn, client int) error {
	br := bufio.NewReader(c)
	for i := range 200 {
		id := strings.Repeat(fmt.Sprintf("%d-%d.", client, i), 1+i%50)
		fmt.Fprint(c, requestBody("POST /v2/publish/http://h/"+id, id, "Upstash-Forward-X: "+id, "Upstash-Deduplication-Id: "+id))
		head, err := br.ReadString('\n')
		for line := head; err == nil && line != "\r\n"; {
			line, err = br.ReadString('\n')
		}
		if err != nil || !strings.Contains(head, " 200 ") {
			return fmt.Errorf("client %d, message %d: %q %w", client, i, head, err)
		}
		want := `{"messageId":"msg_` + id + `","url":"http://h/` + id + `"}`
		got := make([]byte, len(want))
		if _, err := io.ReadFull(br, got); err != nil || string(got) != want {
			return fmt.Errorf("client %d, message %d: %s, want %s", client, i, got, want)
		}
	}
	return nil
}
