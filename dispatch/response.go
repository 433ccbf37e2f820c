package dispatch

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// readBuffers and smallReaders are shared by all hosts. The former cost 4 KiB per answer
// that is being read; the latter, as much again, are taken only for one that is not plain,
// and large ones, which hold Options.MaxHeader, only for one that needs one.
var (
	readBuffers  = sync.Pool{New: func() any { return new(readBuffer) }}
	smallReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBufferSmall) }}
)

type readBuffer [readBufferSmall]byte

// Read implements io.Reader for the parser: it reads from the connection within the
// attempt's budget and notes what explains a failure later.
func (x *exchange) Read(p []byte) (int, error) {
	if len(x.ahead) > 0 {
		n := copy(p, x.ahead)
		x.ahead = x.ahead[n:]
		return n, nil
	}
	if x.reads++; x.reads > maxHeaderReads && !x.inBody {
		return 0, errTrickle
	}
	if x.got >= x.budget {
		x.readErr = errFlood
		return 0, errFlood
	}
	return x.took(x.conn.Read(p[:min(len(p), x.budget-x.got)]))
}

// took notes what came of a read.
func (x *exchange) took(n int, err error) (int, error) {
	if n > 0 && x.got == 0 {
		x.first = time.Now()
		x.r.Timing.FirstByte = x.first.Sub(x.start)
		x.phase = reading
	}
	x.got += n
	if n > 0 {
		// TLS can report the end with the last bytes. It will again, and readErr
		// is to mean that bytes were wanted that did not come.
		return n, nil
	}
	x.readErr = err
	return 0, err
}

// receive reads one answer into x.r. keep says that the connection stands at the
// beginning of the next one.
func (x *exchange) receive() (keep bool, err error) {
	buf := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(buf)
	n, err := x.Read(buf[:])
	if err != nil {
		return false, err
	}
	return x.parse(buf[:n])
}

// parse is receive of an answer that begins with b, which it may change.
func (x *exchange) parse(b []byte) (keep bool, err error) {
	if keep, ok := x.plain(b); ok {
		x.end = x.first
		return keep, nil
	}
	x.parsed, x.ahead = true, b
	return x.receiveAny()
}

// receiveAny is receive by fasthttp, of an answer of any shape.
func (x *exchange) receiveAny() (keep bool, err error) {
	br := smallReaders.Get().(*bufio.Reader)
	br.Reset(x)
	defer func() {
		br.Reset(nil)
		smallReaders.Put(br)
	}()
	err = x.readHeader(br)
	var small *fasthttp.ErrSmallBuffer
	if errors.As(err, &small) && x.c.opts.MaxHeader > readBufferSmall {
		return x.receiveLarge(br)
	}
	if err != nil {
		return false, err
	}
	return x.receiveBody(br)
}

// receiveLarge starts over with a buffer of MaxHeader bytes and what is in the
// small one. It allocates; answers with more than 4 KiB of headers are rare.
func (x *exchange) receiveLarge(small *bufio.Reader) (keep bool, err error) {
	x.large = true
	have, _ := small.Peek(small.Buffered())
	br := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(have), x), x.c.opts.MaxHeader)
	if err := x.readHeader(br); err != nil {
		return false, err
	}
	if x.resp.Header.Len() > maxHeaderLines {
		return false, fail(TooLarge, nil, "response has more than %d header lines", maxHeaderLines)
	}
	return x.receiveBody(br)
}

// readHeader reads status line and headers of the final answer; at most 100
// interim ones are skipped (fasthttp's bound), each within the header limit.
func (x *exchange) readHeader(br *bufio.Reader) error {
	resp := &x.resp
	resp.SkipBody = true // receiveBody reads it
	// What fasthttp would report in place of a missing Content-Type is invented.
	resp.Header.SetNoDefaultContentType(true)
	if err := resp.ReadLimitBody(br, 0); err != nil {
		if x.got == 0 && x.readErr != nil {
			return x.readErr // fasthttp calls whatever stops the first read an end
		}
		return err
	}
	x.inBody = true
	x.budget = x.got + x.keep + readSlack
	if resp.StatusCode() < 100 {
		return fail(Protocol, nil, "malformed response: status %03d", resp.StatusCode())
	}
	return nil
}

func (x *exchange) receiveBody(br *bufio.Reader) (keep bool, err error) {
	resp, r := &x.resp, x.r
	r.Status = resp.StatusCode()
	r.Header = appendHeader(r.Header[:0], &resp.Header)
	if hasBody(x.a.Method, r.Status) {
		src, length, err := x.bodySource(br)
		if err != nil {
			return false, err
		}
		r.Body, r.Truncated, err = readBody(r.Body[:0], src, length, x.keep)
		if err != nil && x.readErr == errFlood {
			r.Truncated, err = true, nil // like a body that is too long
		}
		if err == nil && src != io.Reader(br) && !r.Truncated && x.readErr != nil {
			// fasthttp takes a connection that ends between two chunks for the end
			// of the body.
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return false, err
		}
	}
	// Bytes after the answer belong to no request of ours.
	keep = !r.Truncated && br.Buffered() == 0 &&
		!saysClose(&resp.Header) && r.Status != fasthttp.StatusSwitchingProtocols
	return keep, nil
}

// saysClose is true if the server ends the connection after this answer. fasthttp
// knows the word in lower case and alone.
func saysClose(h *fasthttp.ResponseHeader) bool {
	if h.ConnectionClose() {
		return true
	}
	for token := range bytes.SplitSeq(h.Peek("Connection"), []byte{','}) {
		if bytes.EqualFold(bytes.TrimSpace(token), []byte("close")) {
			return true
		}
	}
	return false
}

// hasBody follows RFC 9112 §6.3: some answers have none whatever they announce.
func hasBody(method string, status int) bool {
	return method != "HEAD" && status >= 200 && status != fasthttp.StatusNoContent && status != fasthttp.StatusNotModified
}

// bodySource returns a reader that ends where the body does; length is -1 if that
// was not announced. fasthttp's stream is used for chunks only: its other two
// kinds are allocated per answer and do not return to their pool here.
func (x *exchange) bodySource(br *bufio.Reader) (src io.Reader, length int, err error) {
	switch length = x.resp.Header.ContentLength(); length {
	case -1:
		x.resp.StreamBody = true
		err = x.resp.ReadBody(br, 0)
		return x.resp.BodyStream(), -1, err
	case -2:
		return br, -1, nil
	}
	x.fixed = fixedBody{br, length}
	return &x.fixed, length, nil
}

// A fixedBody reads exactly left bytes, or fails.
type fixedBody struct {
	br   *bufio.Reader
	left int
}

func (b *fixedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.br.Read(p[:min(len(p), b.left)])
	b.left -= n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readBody appends at most limit bytes of src to dst and says whether there was
// more. The buffer grows with what arrives, whatever length was announced.
func readBody(dst []byte, src io.Reader, announced, limit int) (_ []byte, truncated bool, err error) {
	if announced == 0 {
		return dst, false, nil
	}
	if cap(dst) == 0 {
		size := 512
		if announced >= 0 {
			size = min(announced, 4<<10) + 1 // announced may be the largest int
		}
		dst = make([]byte, 0, min(size, limit+1))
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		// One byte above the limit tells a cut answer from one that just fits.
		n, err := src.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return dst[:limit], true, nil
		}
		if errors.Is(err, io.EOF) {
			return dst, false, nil
		}
		if err != nil {
			return dst, false, err
		}
	}
}

// appendHeader copies the headers out of fasthttp's buffers, names in canonical
// form, all strings in one allocation.
func appendHeader(dst []Header, h *fasthttp.ResponseHeader) []Header {
	size, lines := 0, 0
	for name, value := range h.All() {
		size += len(name) + len(value)
		lines++
	}
	dst = slices.Grow(dst, lines)
	buf := make([]byte, 0, size)
	for name, value := range h.All() {
		buf = appendCanonical(buf, name)
		buf = append(buf, value...)
	}
	all, at := string(buf), 0
	cut := func(n int) string {
		s := all[at : at+n]
		at += n
		return s
	}
	for name, value := range h.All() {
		dst = append(dst, Header{cut(len(name)), cut(len(value))})
	}
	return dst
}

// appendCanonical writes a name as Like-This.
func appendCanonical(dst, name []byte) []byte {
	at := len(dst)
	dst = append(dst, name...)
	canonical(dst[at:])
	return dst
}

// canonical makes a name one that is written Like-This.
func canonical(name []byte) {
	upper := true
	for i, c := range name {
		switch {
		case upper && c >= 'a' && c <= 'z':
			name[i] = c - ('a' - 'A')
		case !upper && c >= 'A' && c <= 'Z':
			name[i] = c + ('a' - 'A')
		}
		upper = c == '-'
	}
}
