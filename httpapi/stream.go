package httpapi

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httputil"
)

// stream is an answer that is sent while it is made, because all of it together
// may be larger than the memory that one request should have. The zero value is
// an answer that is not.
type stream struct {
	head   *bufio.Writer
	body   io.Writer
	chunks io.Closer // nil: the end of the connection ends the answer (HTTP/1.0)
}

func (s *stream) begun() bool { return s.head != nil }

// streamAt is the size at which an answer begins to be sent. What stays below has
// a length.
const streamAt = 256 << 10

var (
	errGone = &failure{status: http.StatusBadRequest, text: "the client went away"}
	errCut  = &failure{status: http.StatusInternalServerError, text: "the answer was cut"}
)

// spill sends what is in x.out when it has grown large, with status 200. From then
// on a handler that fails cuts the connection, which is how its client learns of it.
func (x *exchange) spill() error {
	if len(x.out) < streamAt {
		return nil
	}
	if !x.stream.begun() {
		if err := x.beginStream("application/json"); err != nil {
			return errGone
		}
	}
	if _, err := x.stream.body.Write(x.out); err != nil {
		return errGone
	}
	x.out = x.out[:0]
	return nil
}

func (x *exchange) beginStream(contentType string) error {
	x.head.keepAlive = false
	h := &x.context().Response.Header
	h.SetContentType(contentType)
	h.SetConnectionClose()
	length := -1 // fasthttp's word for chunked
	if x.head.http10 {
		length = -2 // and for neither length nor coding
	}
	h.SetContentLength(length)
	x.share(h)
	bw := writers.Get().(*bufio.Writer)
	bw.Reset(x.c)
	x.stream = stream{head: bw, body: bw}
	switch {
	case x.head.method == http.MethodHead:
		x.stream.body = io.Discard
	case !x.head.http10:
		chunks := httputil.NewChunkedWriter(bw)
		x.stream.body, x.stream.chunks = chunks, chunks
	}
	return h.Write(bw)
}

// endStream sends the rest of the answer and its end, or neither if the handler
// failed.
func (x *exchange) endStream() error {
	s := x.stream
	x.stream = stream{}
	defer func() {
		s.head.Reset(nil)
		writers.Put(s.head)
	}()
	if x.status != http.StatusOK {
		return errCut
	}
	if _, err := s.body.Write(x.out); err != nil {
		return err
	}
	if s.chunks != nil {
		if err := s.chunks.Close(); err != nil {
			return err
		}
		s.head.WriteString("\r\n") //nolint:errcheck // Flush tells: after the last chunk no trailers
	}
	return s.head.Flush()
}
