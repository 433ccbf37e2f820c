package httpapi

import (
	"bytes"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// collect is a connection that keeps what is written to it.
type collect struct {
	net.Conn
	out bytes.Buffer
}

func (c *collect) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *collect) SetWriteDeadline(time.Time) error { return nil }

// TestPlainAnswers: what writePlain writes is what fasthttp would, but for the date,
// which is one.
func TestPlainAnswers(t *testing.T) {
	srv, err := New(Options{Engine: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	date := regexp.MustCompile(`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n`)
	write := func(status int, out string, plain bool) string {
		nc := new(collect)
		x := srv.acquire(newTestConn(srv, nc))
		defer srv.release(x)
		x.status, x.out, x.head.method = status, append(x.out, out...), http.MethodPost
		if !plain {
			x.context()
		}
		if x.isPlain(true) != plain {
			t.Fatalf("%d, %d bytes: plain is %t", status, len(out), !plain)
		}
		if err := x.write(true); err != nil {
			t.Fatal(err)
		}
		if d := date.FindString(nc.out.String()); d == "" {
			t.Errorf("no date in %q", nc.out.String())
		} else if at, err := http.ParseTime(strings.TrimSpace(d[len("Date: "):])); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("the date is %v %v", at, err)
		}
		return date.ReplaceAllString(nc.out.String(), "Date\r\n")
	}
	for _, status := range []int{http.StatusOK, http.StatusAccepted} {
		for _, out := range []string{"", "{}", strings.Repeat("x", plainMax)} {
			if got, want := write(status, out, true), write(status, out, false); got != want {
				t.Errorf("%d, %d bytes: got %q, fasthttp has %q", status, len(out), got, want)
			}
		}
	}
	for _, f := range []*failure{errNoRoute, errUnauthorized, errBusy} {
		write(f.status, `{"error":"x"}`, false)
	}
}

// TestPlainIsRefused: an answer with more in its head is none for writePlain.
func TestPlainIsRefused(t *testing.T) {
	srv, err := New(Options{Engine: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := New(Options{Engine: newFake(), CORSOrigins: []string{"https://a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		srv    *Server
		keep   bool
		change func(x *exchange)
	}{
		"the last one":      {srv, false, func(*exchange) {}},
		"HTTP/1.0":          {srv, true, func(x *exchange) { x.head.http10 = true }},
		"HEAD":              {srv, true, func(x *exchange) { x.head.method = http.MethodHead }},
		"a failure":         {srv, true, func(x *exchange) { x.status = http.StatusNotFound }},
		"of a Fallback":     {srv, true, func(x *exchange) { x.status = 0 }},
		"large":             {srv, true, func(x *exchange) { x.out = make([]byte, plainMax+1) }},
		"with an ETag":      {srv, true, func(x *exchange) { x.context().Response.Header.Set("ETag", "x") }},
		"to pages of sites": {shared, true, func(*exchange) {}},
	} {
		x := tt.srv.acquire(newTestConn(tt.srv, new(collect)))
		x.status, x.head.method = http.StatusOK, http.MethodPost
		tt.change(x)
		if x.isPlain(tt.keep) {
			t.Errorf("%s: it is plain", name)
		}
		tt.srv.release(x)
	}
}

// TestAnswersOfASecond: the text of a date is that of the time it is asked for.
func TestAnswersOfASecond(t *testing.T) {
	var d httpDate
	base := time.Date(2026, 3, 1, 23, 59, 59, 0, time.FixedZone("", 3600))
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{
		{0, "Sun, 01 Mar 2026 22:59:59 GMT"},
		{999 * time.Millisecond, "Sun, 01 Mar 2026 22:59:59 GMT"},
		{time.Second, "Sun, 01 Mar 2026 23:00:00 GMT"},
		{0, "Sun, 01 Mar 2026 22:59:59 GMT"},
	} {
		if got := string(d.at(base.Add(tt.after))); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.after, got, tt.want)
		}
	}
}
