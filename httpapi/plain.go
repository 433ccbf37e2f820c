package httpapi

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Nearly all answers have the same head: a status, the date, and the length of some JSON.
// It is written here, together with the JSON and in one call; every other answer goes
// through fasthttp, which writes these byte for byte alike (TestPlainAnswers).

// plainMax bounds an answer that is copied behind its head, bytes.
const plainMax = 4 << 10

// isPlain says whether the answer has no more in its head than writePlain knows.
func (x *exchange) isPlain(keep bool) bool {
	return keep && (x.status == http.StatusOK || x.status == http.StatusAccepted) && len(x.out) <= plainMax &&
		!x.useCtx && !x.head.http10 && x.head.method != http.MethodHead && len(x.srv.live.Load().CORSOrigins) == 0
}

// writePlain sends a plain answer. The time at which it does is noted for what the
// connection does next.
func (x *exchange) writePlain() error {
	now := time.Now()
	b := x.wire[:0]
	if x.status == http.StatusOK {
		b = append(b, "HTTP/1.1 200 OK\r\nDate: "...)
	} else {
		b = append(b, "HTTP/1.1 202 Accepted\r\nDate: "...)
	}
	b = append(b, x.srv.date.at(now)...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(x.out)), 10)
	b = append(b, "\r\n\r\n"...)
	b = append(b, x.out...)
	x.wire, x.c.answered = b, now
	_, err := x.c.writeAt(now, b)
	return err
}

// httpDate is the text of a Date, which is made once a second. The zero value is ready.
type httpDate struct{ last atomic.Pointer[dated] }

type dated struct {
	second int64 // unix
	text   []byte
}

// at returns the text of now, to be read only.
func (d *httpDate) at(now time.Time) []byte {
	second := now.Unix()
	last := d.last.Load()
	if last == nil || last.second != second {
		last = &dated{second, fasthttp.AppendHTTPDate(nil, now)}
		d.last.Store(last)
	}
	return last.text
}
