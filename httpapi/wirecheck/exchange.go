package wirecheck

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method, Target string // "" where there was no request that can be read
	Header         http.Header
	Body           []byte
	Whole          bool // the body is there to its end

	Status  int
	Answer  http.Header
	Content []byte
}

// Cut takes apart what went over one connection: in to the server, out from it. An answer that is incomplete, since
// the connection or the recording ended, is left out with all that follow.
func Cut(in, out []byte) (list []Exchange) {
	requests := bufio.NewReader(bytes.NewReader(in))
	answers := bufio.NewReader(bytes.NewReader(out))
	lost := false
	for {
		e := Exchange{}
		if !lost {
			lost = !e.readRequest(requests)
		}
		if lost && len(in) == recordMax { // it is the record that ends
			return list
		}
		if !e.readAnswer(answers) {
			return list
		}
		list = append(list, e)
	}
}

// readRequest reads one request, more generously than any server should: without
// an opinion of its target. It says no where the bytes are none, or are cut off.
func (e *Exchange) readRequest(br *bufio.Reader) bool {
	if b, _ := br.Peek(2); string(b) == "\r\n" {
		br.Discard(2) //nolint:errcheck // they are there
	}
	tr := textproto.NewReader(br)
	line, err := tr.ReadLine()
	if err != nil {
		return false
	}
	header, err := tr.ReadMIMEHeader()
	parts := strings.Split(line, " ")
	if err != nil || len(parts) != 3 {
		e.Method = "" // the answer is to bytes, not to a request
		return false
	}
	e.Method, e.Target, e.Header = parts[0], parts[1], http.Header(header)
	return e.readBody(br)
}

func (e *Exchange) readBody(br *bufio.Reader) bool {
	var err error
	switch {
	case e.Header.Get("Transfer-Encoding") != "":
		if e.Body, err = io.ReadAll(httputil.NewChunkedReader(br)); err != nil {
			return false
		}
		_, err = textproto.NewReader(br).ReadMIMEHeader() // trailers and the empty line
	case e.Header.Get("Content-Length") != "":
		var n uint64
		if n, err = strconv.ParseUint(e.Header.Get("Content-Length"), 10, 31); err != nil {
			return false
		}
		e.Body = make([]byte, min(n, uint64(br.Size()+br.Buffered())))
		e.Body, err = io.ReadAll(io.LimitReader(br, int64(n)))
		if uint64(len(e.Body)) < n {
			return false
		}
	}
	e.Whole = err == nil || errors.Is(err, io.EOF)
	return e.Whole
}

// readAnswer reads the next answer that is not a 1xx, whole.
func (e *Exchange) readAnswer(br *bufio.Reader) bool {
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: e.Method})
		if err != nil {
			return false
		}
		e.Content, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		endless := resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 // the end of the connection ends it, or of the recording
		if err != nil || endless {
			return false
		}
		if resp.StatusCode >= 200 {
			e.Status, e.Answer = resp.StatusCode, resp.Header
			return true
		}
	}
}
