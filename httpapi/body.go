package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// bodies holds the memory of bodies that did not fit a connection's buffer.
// Larger ones are garbage after use.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

const (
	bodyPooledMax = 2 << 20
	bodyFirst     = 16 << 10 // first reservation; it then doubles as bytes arrive
	chunkLineMax  = 256      // a chunk's size line, extensions included
	trailersMax   = 8 << 10
)

// body reads one request's body. What it holds counts in budget and grows with
// what has arrived, so a declared length alone reserves nothing.
type body struct {
	b      []byte
	held   int // bytes counted in budget
	pooled *[]byte
	budget *budget
	limit  int64
}

var errTooLong = errors.New("body over the limit")

// read reads a body of length bytes, or a chunked one (-1), from br. A small
// one that has arrived already is not copied: b.b then aliases br's buffer until
// done.
func (b *body) read(br *bufio.Reader, length int64) error {
	switch {
	case length > b.limit:
		return errTooLong
	case length >= 0 && int64(br.Buffered()) >= length:
		return b.alias(br, int(length))
	case length >= 0:
		return b.copyN(br, int(length))
	}
	return b.chunked(br)
}

func (b *body) alias(br *bufio.Reader, n int) (err error) {
	if !b.reserve(n) {
		return errBusy
	}
	b.b, err = br.Peek(n)
	if err != nil {
		return err
	}
	_, err = br.Discard(n)
	return err
}

func (b *body) reserve(n int) bool {
	if !b.budget.take(n) {
		return false
	}
	b.held += n
	return true
}

// hold counts n bytes of an answer in budget, beyond its limit if need be: they are there.
func (b *body) hold(budget *budget, n int) {
	b.budget = budget
	b.budget.used.Add(int64(n))
	b.held += n
}

// copyN appends the next n bytes of br.
func (b *body) copyN(br *bufio.Reader, n int) error {
	for n > 0 {
		if err := b.grow(n); err != nil {
			return err
		}
		at := len(b.b)
		part := b.b[at : at+min(n, cap(b.b)-at)]
		got, err := io.ReadFull(br, part)
		b.b = b.b[:at+got]
		n -= got
		if err != nil {
			return truncated(err)
		}
	}
	return nil
}

// grow makes room for more bytes: for all n that are still to come when that is
// little, else for as many again as have arrived.
func (b *body) grow(n int) error {
	if b.pooled == nil {
		b.pooled = bodies.Get().(*[]byte)
		b.b = (*b.pooled)[:0]
		if !b.reserve(cap(b.b)) { // memory of the pool is held as well
			return errBusy
		}
	}
	if cap(b.b) > len(b.b) {
		return nil
	}
	next := min(len(b.b)+n, max(bodyFirst, 2*len(b.b)))
	if !b.reserve(next - cap(b.b)) {
		return errBusy
	}
	b.b = append(make([]byte, 0, next), b.b...)
	return nil
}

// done gives back memory and budget. The body must not be used afterwards.
func (b *body) done() {
	if b.pooled != nil {
		if cap(b.b) <= bodyPooledMax {
			*b.pooled = b.b[:0]
		}
		bodies.Put(b.pooled)
	}
	if b.held > 0 {
		b.budget.give(b.held)
	}
	*b = body{}
}

// chunked reads a chunked body strictly: CR LF only, a size of at most 15 hex
// digits, extensions and trailers ignored.
func (b *body) chunked(br *bufio.Reader) error {
	for {
		n, err := chunkSize(br)
		if err != nil {
			return err
		}
		if n == 0 {
			return skipTrailers(br)
		}
		if n > b.limit-int64(len(b.b)) {
			return errTooLong
		}
		if err := b.copyN(br, int(n)); err != nil {
			return err
		}
		if err := chunkEnd(br); err != nil {
			return err
		}
	}
}

func chunkEnd(br *bufio.Reader) error {
	b, err := br.Peek(2)
	if err != nil {
		return truncated(err)
	}
	if string(b) != "\r\n" {
		return errChunk
	}
	_, err = br.Discard(2)
	return err
}

var errChunk = badRequest("malformed chunked body")

func chunkSize(br *bufio.Reader) (n int64, err error) {
	line, err := readLine(br, chunkLineMax)
	if err != nil {
		return 0, err
	}
	digits := 0
	for digits < len(line) && hexValue(line[digits]) >= 0 {
		n = n<<4 | int64(hexValue(line[digits]))
		if digits++; digits > 15 {
			return 0, errChunk
		}
	}
	rest := trimSpace(line[digits:])
	if digits == 0 || len(rest) > 0 && rest[0] != ';' || !isFieldValue(rest) {
		return 0, errChunk
	}
	return n, nil
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func skipTrailers(br *bufio.Reader) error {
	for left := trailersMax; left > 0; {
		line, err := readLine(br, left)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		left -= len(line) + 2
	}
	return errChunk
}

// readLine reads up to CR LF and returns what stands before it; it is valid
// until the next read. A line of more than most bytes, CR LF included, a bare CR
// and a bare LF are malformed.
func readLine(br *bufio.Reader, most int) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errChunk
	case err != nil:
		return nil, truncated(err)
	case len(line) > most || len(line) < 2 || line[len(line)-2] != '\r':
		return nil, errChunk
	}
	line = line[:len(line)-2]
	for _, c := range line {
		if c == '\r' {
			return nil, errChunk
		}
	}
	return line, nil
}

func truncated(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTimeout
	}
	return errTruncated
}

// bodyDeadline is how long a body of n bytes may take: ReadTimeout for each MiB
// begun.
func bodyDeadline(perMiB time.Duration, n int64) time.Duration {
	return perMiB * time.Duration(1+max(n, 0)>>20)
}

func tooLong(what string, limit int64) *failure {
	return &failure{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("%s is larger than the limit of %d bytes", what, limit)}
}
