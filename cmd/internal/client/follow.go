package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// Pauses before a stream that broke is opened again: the first one, doubled each time.
const (
	pauseMin = 500 * time.Millisecond
	pauseMax = 15 * time.Second
)

// Follow calls fn with the data of each event of the stream that r asks for, in order, until ctx
// ends or fn fails, and returns that error. When the connection breaks it says so and opens the
// stream again behind the last event, so that none is missed or seen twice; a server that cannot be
// reached at first, or that refuses, ends it.
func (s *Session) Follow(ctx context.Context, r *Request, fn func(data json.RawMessage) error) error {
	return s.follow(ctx, r, pauseMin, fn)
}

func (s *Session) follow(ctx context.Context, r *Request, least time.Duration, fn func(data json.RawMessage) error) error {
	f := follower{s: s, r: *r, fn: fn}
	f.r.Query, f.r.Header = cloned(r.Query), http.Header{}
	for pause := least; ; pause = min(2*pause, pauseMax) {
		before := f.seen
		err := f.once(ctx)
		switch {
		case f.failed != nil:
			return f.failed
		case ctx.Err() != nil:
			return ctx.Err()
		case !f.opened || !passing(err):
			return err
		case f.seen != before:
			pause = least
		}
		fmt.Fprintf(s.Err, "The stream broke (%v): trying again in %v.\n", err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// passing is true for what may be over in a moment.
func passing(err error) bool {
	status := exit.Of(err)
	return status == exit.Unavailable || status == exit.TempFail
}

// cloned is a query that may be added to.
func cloned(q url.Values) url.Values {
	c := url.Values{}
	maps.Copy(c, q)
	return c
}

// follower is a stream that may take several connections.
type follower struct {
	s      *Session
	r      Request
	fn     func(data json.RawMessage) error
	failed error // what fn returned
	opened bool  // once
	seen   int   // lines with an id
	since  bool  // remember set a fromDate
}

// once reads one connection to its end.
func (f *follower) once(ctx context.Context) error {
	resp, err := f.s.Do(ctx, &f.r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if !f.opened {
		f.opened = true
		f.remember(resp)
	}
	err = f.read(bufio.NewReader(resp.Body))
	if err == io.EOF { // a stream has no end of its own
		err = errors.New("it ended")
	}
	return f.s.broken(err)
}

// remember makes a second connection begin no later than this one, should it break before its first
// id: by the server's clock, to the second.
func (f *follower) remember(resp *http.Response) {
	began, err := http.ParseTime(resp.Header.Get("Date"))
	if err == nil && !f.r.Query.Has("fromDate") && !f.r.Query.Has("cursor") {
		f.since = true
		f.r.Query.Set("fromDate", strconv.FormatInt(began.UnixMilli(), 10))
	}
}

// read reads server-sent events, of which it knows as much as the server sends: ids, data on one
// line, and comments. It returns why it cannot go on.
func (f *follower) read(r *bufio.Reader) error {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if id, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			// The id stands before its data, and a stream that breaks in between sends them again.
			err = f.event(r, string(id))
		}
		if err != nil {
			return err
		}
	}
}

// event reads what follows an id: data, or the blank line of an id that has none.
func (f *follower) event(r *bufio.Reader, id string) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	data, ok := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("data: "))
	switch {
	case ok && !json.Valid(data):
		return errors.New("an event is no JSON")
	case ok:
		if f.failed = f.fn(data); f.failed != nil {
			return f.failed
		}
	}
	f.seen++
	f.r.Header.Set("Last-Event-ID", id)
	if f.since { // an event may be of an attempt that began before
		f.since = false
		f.r.Query.Del("fromDate")
	}
	return nil
}
