package dispatch

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// A plain answer is what nearly every server sends nearly always: HTTP/1.1, a final
// status, a few header lines of the simplest form, and a body whose length was announced,
// all of which came at once. It is taken apart here, at a fraction of what fasthttp costs.
// Anything that is not as expected is left to fasthttp, from its first byte on, so that
// what an answer means is decided in one place: FuzzPlain holds the two together.
type plainAnswer struct {
	status int
	length int // announced, -1: was not
	lines  [plainLines]plainLine
	n      int // of them
	head   int // bytes up to the body
}

// A plainLine is where a header line stands: b[name:colon] and b[value:end].
type plainLine struct{ name, colon, value, end uint16 }

// plainLines bounds the header lines of a plain answer.
const plainLines = 32

// parsePlain takes the head of an answer apart; it is false if that is not a plain one.
func parsePlain(b []byte, p *plainAnswer) bool {
	const statusLine = len("HTTP/1.1 200 ")
	if len(b) < statusLine || string(b[:9]) != "HTTP/1.1 " || b[12] != ' ' {
		return false
	}
	p.status = number(b[9:12])
	p.n, p.length = 0, -1
	at := lineEnd(b, statusLine)
	if p.status < 200 || at < 0 {
		return false
	}
	for at += 2; at < len(b)-1; at += 2 {
		if b[at] == '\r' {
			p.head = at + 2
			return b[at+1] == '\n'
		}
		if p.n == plainLines {
			return false
		}
		l := &p.lines[p.n]
		if at = l.parse(b, at); at < 0 || !p.allows(b, l) {
			return false
		}
		p.n++
	}
	return false
}

// lineEnd returns where the line that at lies in ends: at a CR and its LF. It is negative
// if they are not there, or control characters are.
func lineEnd(b []byte, at int) int {
	for ; at < len(b)-1; at++ {
		switch c := b[at]; {
		case c == '\r':
			if b[at+1] != '\n' {
				return -1
			}
			return at
		case c < ' ' && c != '\t' || c == 0x7f:
			return -1
		}
	}
	return -1
}

// parse reads the header line at b[at:], which stays below 64 KiB, and returns where it
// ends; negative if it is not of the simplest form.
func (l *plainLine) parse(b []byte, at int) (end int) {
	l.name = uint16(at)
	for at < len(b) && tokenTable[b[at]] {
		at++
	}
	if at == int(l.name) || at == len(b) || b[at] != ':' {
		return -1
	}
	l.colon = uint16(at)
	if end = lineEnd(b, at); end < 0 {
		return -1
	}
	last := end
	for at++; at < last && isBlank(b[at]); at++ {
	}
	for last > at && isBlank(b[last-1]) {
		last--
	}
	l.value, l.end = uint16(at), uint16(last)
	return end
}

// allows says whether a line leaves an answer plain. It notes the announced length.
func (p *plainAnswer) allows(b []byte, l *plainLine) bool {
	name, value := b[l.name:l.colon], b[l.value:l.end]
	switch {
	case is(name, "Content-Length"):
		if p.length >= 0 || len(value) == 0 || len(value) > 9 {
			return false
		}
		p.length = number(value)
		return p.length >= 0
	case is(name, "Connection"):
		return is(value, "keep-alive")
	case is(name, "Transfer-Encoding"), is(name, "Trailer"):
		return false
	case is(name, "Content-Type"), is(name, "Content-Encoding"), is(name, "Server"): // fasthttp keeps one that is not empty
		return len(value) > 0 && !p.has(b, name)
	}
	return true
}

// has says whether there was a line of this name before.
func (p *plainAnswer) has(b, name []byte) bool {
	return slices.ContainsFunc(p.lines[:p.n], func(l plainLine) bool { return bytes.EqualFold(b[l.name:l.colon], name) })
}

func is(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

// number returns the value of up to nine digits, or -1.
func number(b []byte) (n int) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// plain takes an answer that is plain into x.r; ok is false if it is not. keep is as of
// receive.
func (x *exchange) plain(b []byte) (keep, ok bool) {
	p, r := &x.answer, x.r
	if !parsePlain(b, p) {
		return false, false
	}
	body := b[p.head:]
	if hasBody(x.a.Method, p.status) {
		if p.length < 0 || p.length > len(body) || p.length > x.keep {
			return false, false
		}
		r.Body = append(r.Body[:0], body[:p.length]...)
		body = body[p.length:]
	} else if p.length < 0 && p.status != fasthttp.StatusNoContent && p.status != fasthttp.StatusNotModified {
		return false, false // of HEAD
	}
	r.Status = p.status
	r.Header = p.appendHeader(r.Header[:0], b)
	return len(body) == 0, true
}

// appendHeader copies the header lines, names in canonical form, in one allocation.
func (p *plainAnswer) appendHeader(dst []Header, b []byte) []Header {
	if p.n == 0 {
		return dst
	}
	for i := range p.lines[:p.n] {
		canonical(b[p.lines[i].name:p.lines[i].colon])
	}
	from := p.lines[0].name
	all := string(b[from:p.lines[p.n-1].end])
	for _, l := range p.lines[:p.n] {
		dst = append(dst, Header{all[l.name-from : l.colon-from], all[l.value-from : l.end-from]})
	}
	return dst
}
