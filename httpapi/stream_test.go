package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// large makes n schedules of some 64 KiB each.
func large(n int) []engine.ScheduleInfo {
	views := make([]engine.ScheduleInfo, n)
	for i := range views {
		views[i] = bareSchedule
		views[i].ID, views[i].Body = fmt.Sprint("id-", i), []byte(strings.Repeat("x", 64<<10))
	}
	return views
}

// TestLargeListing: an answer that is larger than one request's memory comes in
// pieces and whole, and one that fits has a length.
func TestLargeListing(t *testing.T) {
	s := start(t, nil)
	for _, tt := range []struct {
		n        int
		line     string
		streamed bool
	}{
		{0, "GET /v2/schedules HTTP/1.1", false},
		{2, "GET /v2/schedules HTTP/1.1", false},
		{100, "GET /v2/schedules HTTP/1.1", true},
		{100, "GET /v2/schedules HTTP/1.0", true},
	} {
		s.eng.views = large(tt.n)
		a, closed := s.send(t, tt.line+"\r\nHost: t\r\nAuthorization: Bearer "+goodToken+"\r\n\r\n")
		var got []struct{ ScheduleID string }
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.StatusCode != 200 || len(got) != tt.n {
			t.Fatalf("%s, %d: %d, %d schedules, %v", tt.line, tt.n, a.StatusCode, len(got), err)
		}
		if tt.n > 0 && got[tt.n-1].ScheduleID != fmt.Sprint("id-", tt.n-1) {
			t.Errorf("the last is %s", got[tt.n-1].ScheduleID)
		}
		if streamed := a.ContentLength < 0; streamed != tt.streamed || closed != tt.streamed {
			t.Errorf("%s, %d: streamed %t, closed %t", tt.line, tt.n, streamed, closed)
		}
		if a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("Content-Type %q", a.Header.Get("Content-Type"))
		}
	}
}

// TestCutListing: a listing that fails is an error when nothing was sent, and else
// one that does not end.
func TestCutListing(t *testing.T) {
	s := start(t, nil)
	s.eng.broken = errors.New("secret detail")
	s.eng.views = large(1)
	a, _ := s.send(t, request("GET /v2/schedules"))
	if a.StatusCode != 500 || !strings.HasPrefix(a.body, `{"error":"internal error, request `) {
		t.Errorf("got %d %.100s", a.StatusCode, a.body)
	}
	s.eng.views = large(20)
	c := s.dial(t)
	io.WriteString(c, request("GET /v2/schedules")) //nolint:errcheck // the answer tells
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(string(b), "error") {
		t.Errorf("the client took %d bytes for all: %v", len(b), err)
	}
	if n := strings.Count(s.log.String(), "secret detail"); n != 2 {
		t.Errorf("%d lines in the log: %s", n, s.log.String())
	}
}

// TestClientLeavesListing: a client that goes away in the middle costs nothing but
// its connection, and nothing in the log.
func TestClientLeavesListing(t *testing.T) {
	s := start(t, nil)
	s.eng.views = large(500) // more than the buffers of a connection hold
	c := s.dial(t)
	io.WriteString(c, request("GET /v2/schedules"))          //nolint:errcheck // the answer tells
	if _, err := io.CopyN(io.Discard, c, 1000); err != nil { // it has begun
		t.Fatal(err)
	}
	c.Close()
	waitFor(t, func() bool { return s.active() == 0 })
	if log := s.log.String(); log != "" {
		t.Errorf("the log says %s", log)
	}
	s.eng.views = nil
	if a, _ := s.send(t, request("GET /v2/schedules")); a.StatusCode != 200 || a.body != "[]" {
		t.Errorf("afterwards: %d %s", a.StatusCode, a.body)
	}
}
