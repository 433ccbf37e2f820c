package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// answerBytesMax bounds the answer to a publish, and to whatever has no bound of its own.
const answerBytesMax = 64 << 10

// wire is one producer's keep-alive connection. It writes requests that were
// rendered beforehand and reads answers with fasthttp's parser, so that the
// generator, which shares the machine with what it measures, costs as little as
// it can. Not safe for concurrent use.
type wire struct {
	addr    string
	timeout time.Duration
	most    int             // bytes of an answer
	ctx     context.Context // of the run: its end closes the connection
	conn    net.Conn
	detach  func() bool
	br      *bufio.Reader
	bw      *bufio.Writer
	resp    fasthttp.Response
	renewed time.Time // when the deadline was last set
}

func newWire(ctx context.Context, addr string, timeout time.Duration) *wire {
	return &wire{addr: addr, timeout: timeout, most: answerBytesMax, ctx: ctx}
}

// postHead renders the head of a POST. Headers are given as "Name: value".
func postHead(host, target string, bodyBytes int, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\n", target, host)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("Content-Length: " + strconv.Itoa(bodyBytes) + "\r\n\r\n")
	return []byte(b.String())
}

// refusal is the error of a request that was answered with a status other than 2xx.
type refusal struct {
	status int
	later  bool          // it says when to try again
	after  time.Duration // which is so long from now, if it says that in seconds
	text   string
}

func (r *refusal) Error() string { return r.text }

// post sends one request and reads its answer. A status other than 2xx is a *refusal;
// any other error closes the connection, and the next call dials again.
func (w *wire) post(head, body []byte) error {
	err := w.exchange(head, body)
	if err != nil {
		w.close()
		return err
	}
	if w.resp.ConnectionClose() {
		w.close()
	}
	if status := w.resp.StatusCode(); status < 200 || status > 299 {
		after := w.resp.Header.Peek("Retry-After")
		seconds, _ := strconv.ParseUint(string(after), 10, 16) // of a date nothing is taken but that there is one
		return &refusal{
			status: status, later: len(after) > 0, after: time.Duration(seconds) * time.Second,
			text: fmt.Sprintf("%s answered %d: %.200s", w.addr, status, w.resp.Body()),
		}
	}
	return nil
}

// refusals are the statuses of a server that has too much to do. Each goes with a Retry-After.
var refusals = []int{429, 503, 507}

// asksLater says after how long a server that refused a request asks for it again; ok is false
// if the error is another one.
func asksLater(err error) (after time.Duration, ok bool) {
	no, ok := errors.AsType[*refusal](err)
	if !ok || !no.later || !slices.Contains(refusals, no.status) {
		return 0, false
	}
	return no.after, true
}

func (w *wire) exchange(head, body []byte) error {
	if err := w.ready(); err != nil {
		return err
	}
	if _, err := w.bw.Write(head); err != nil {
		return fmt.Errorf("write to %s: %w", w.addr, err)
	}
	if _, err := w.bw.Write(body); err != nil {
		return fmt.Errorf("write to %s: %w", w.addr, err)
	}
	if err := w.bw.Flush(); err != nil {
		return fmt.Errorf("write to %s: %w", w.addr, err)
	}
	if err := w.resp.ReadLimitBody(w.br, w.most); err != nil {
		return fmt.Errorf("read the answer of %s: %w", w.addr, err)
	}
	return nil
}

// ready dials if need be and keeps the deadline ahead. It is moved when a tenth of
// it has passed, not for each request: that would be a timer update per message.
func (w *wire) ready() error {
	now := time.Now()
	if w.conn == nil {
		dialer := net.Dialer{Timeout: w.timeout}
		conn, err := dialer.DialContext(w.ctx, "tcp", w.addr)
		if err != nil {
			return err
		}
		w.conn = conn
		w.detach = context.AfterFunc(w.ctx, func() { conn.Close() })
		w.br, w.bw = bufio.NewReaderSize(conn, 4096), bufio.NewWriterSize(conn, 4096)
		w.renewed = time.Time{}
	}
	if now.Sub(w.renewed) < w.timeout/10 {
		return nil
	}
	w.renewed = now
	return w.conn.SetDeadline(now.Add(w.timeout))
}

func (w *wire) close() {
	if w.conn != nil {
		w.detach()
		w.conn.Close()
		w.conn = nil
	}
}
