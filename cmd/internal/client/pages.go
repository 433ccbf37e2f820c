package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Listing says how a route lists.
type Listing struct {
	Member string // of the answer, that holds the list; "" if the answer is an array
	Page   int    // most that the route takes as count; 0 if it has no pages
}

// Each calls fn with each element that r lists, in order, following cursors: at most limit, 0 for
// all. One element is in memory at a time, and is fn's to keep.
func (s *Server) Each(ctx context.Context, r *Request, l Listing, limit int, fn func(raw json.RawMessage) error) error {
	page := *r
	page.Query = cloned(r.Query)
	for left := limit; ; {
		if l.Page > 0 {
			page.Query.Set("count", strconv.Itoa(l.count(left)))
		}
		n, cursor, err := s.page(ctx, &page, l.Member, left, fn)
		switch {
		case err != nil:
			return err
		case cursor == "" || limit > 0 && n >= left:
			return nil
		case cursor == page.Query.Get("cursor"):
			return s.broken(errors.New("the list does not go on behind its cursor"))
		}
		page.Query.Set("cursor", cursor)
		if limit > 0 {
			left -= n
		}
	}
}

// count is how many to ask for when left are wanted, 0 for all.
func (l *Listing) count(left int) int {
	if left == 0 {
		return l.Page
	}
	return min(left, l.Page)
}

// page reads one page, at most limit elements of it, and returns where the next one begins.
func (s *Server) page(ctx context.Context, r *Request, member string, limit int, fn func(json.RawMessage) error) (n int, cursor string, err error) {
	resp, err := s.Do(ctx, r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	p := pageReader{d: json.NewDecoder(resp.Body), limit: limit, fn: fn}
	if member == "" {
		err = p.array()
	} else {
		err = p.object(member)
	}
	if err != nil && p.failed == nil {
		err = s.broken(err)
	}
	return p.n, p.cursor, err
}

// pageReader reads an answer token by token.
type pageReader struct {
	d      *json.Decoder
	limit  int // 0: none
	fn     func(json.RawMessage) error
	failed error // what fn returned
	n      int
	cursor string
}

func (p *pageReader) object(member string) error {
	if err := p.expect('{'); err != nil {
		return err
	}
	for p.d.More() {
		name, err := p.d.Token()
		switch {
		case err != nil:
		case name == member:
			err = p.array()
		case name == "cursor":
			err = p.d.Decode(&p.cursor)
		default:
			err = p.skip()
		}
		if err != nil {
			return err
		}
	}
	return p.expect('}')
}

func (p *pageReader) array() error {
	if err := p.expect('['); err != nil {
		return err
	}
	for p.d.More() {
		var raw json.RawMessage
		if err := p.d.Decode(&raw); err != nil {
			return err
		}
		if p.limit > 0 && p.n == p.limit {
			continue
		}
		p.n++
		if p.failed = p.fn(raw); p.failed != nil {
			return p.failed
		}
	}
	return p.expect(']')
}

// skip reads over a value, which may be long.
func (p *pageReader) skip() error {
	for depth := 0; ; {
		token, err := p.d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func (p *pageReader) expect(want json.Delim) error {
	token, err := p.d.Token()
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if err == nil && token != want {
		return fmt.Errorf("%v stands where %v was expected: is this a tidemill server of another version?", token, want)
	}
	return err
}
