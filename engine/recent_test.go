package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// TestRecent: what was committed last is read from memory, as the log has it; what is
// older is not, and memory is bounded and used. A message too large to be kept takes the
// place of none, nor does one that is not due.
func TestRecent(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), &countWire{}))
	chaos := rand.NewChaCha8([32]byte{}) // what can be compressed would all be in memory
	var rows []record.Row
	publish := func(size int, delay time.Duration) {
		t.Helper()
		body := make([]byte, size)
		_, _ = chaos.Read(body)
		r, err := e.Publish(&Publish{User: 1, URL: "http://h.example/", Body: body, Delay: delay})
		if err != nil {
			t.Fatal(err)
		}
		seq, _, err := parseMessageID(r.MessageID)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, record.Row{Pos: seq})
		seen := make(chan struct{})
		e.inbox.push(event{kind: evQuery, query: func(*core) { close(seen) }})
		<-seen
	}
	check := func(newest bool) {
		t.Helper()
		kept, bytesKept := 0, 0
		buf := []byte("before")
		for i := range rows {
			p, ok := e.recent.read(&rows[i], buf)
			if i == len(rows)-1 && ok != newest {
				t.Errorf("of %d messages the newest is in memory: %v", len(rows), ok)
			}
			if !ok {
				continue
			}
			kept, bytesKept = kept+1, bytesKept+len(p)
			want, err := e.log.Read(wal.LSN(rows[i].Pos), 0, nil)
			if err != nil || !bytes.Equal(p, want) {
				t.Fatalf("message %d: %d bytes, in the log %d, %v", i, len(p), len(want), err)
			}
			if _, ok := e.recent.read(&record.Row{Pos: rows[i].Pos + 8}, buf); ok {
				t.Fatalf("a record stands behind message %d's address", i)
			}
		}
		if bytesKept > recentMax || len(rows) > 60 && bytesKept < recentMax*3/4 {
			t.Errorf("%d of %d messages are in memory, %d bytes", kept, len(rows), bytesKept)
		}
	}
	for i := range 130 {
		publish(1+(i*37%100)<<10, 0)
		if i%26 == 25 {
			check(true)
		}
	}
	publish(recentMax/4, 0)
	check(false)
	publish(1, time.Hour)
	check(false)
	publish(1, 0)
	check(true)
}

// echoWire answers with what it was sent, and a status that no retry follows.
type echoWire struct{}

func (echoWire) Do(a *dispatch.Attempt, r *dispatch.Result) {
	r.Class, r.Status = dispatch.OK, 489
	r.Header = append(r.Header[:0], dispatch.Header{Name: "Upstash-Nonretryable-Error", Value: "true"}, dispatch.Header{Name: "X-Url", Value: a.URL})
	r.Body = append(r.Body[:0], a.URL...)
}

// TestResultsAreNotMixed: the memory of an attempt's end is used again, and each outcome
// has its own answer.
func TestResultsAreNotMixed(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), echoWire{}))
	const n = 100
	urls := map[string]bool{}
	var batch []Publish
	for i := range n {
		url := fmt.Sprintf("http://h%d.example/%s", i%7, bytes.Repeat([]byte("x"), i%97)) + fmt.Sprint(i)
		urls[url] = true
		batch = append(batch, Publish{User: 1, URL: url, Body: []byte("b")})
	}
	for i := range batch {
		if _, err := e.Publish(&batch[i]); err != nil {
			t.Fatal(err)
		}
	}
	var dead []DeadLetter
	for len(dead) < n {
		var err error
		if dead, _, err = e.DeadLetters(DeadLetterQuery{User: 1, Count: n}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range dead {
		d := &dead[i]
		if !urls[d.URL] || string(d.ResponseBody) != d.URL || len(d.ResponseHeader) != 2 || d.ResponseHeader[1].Value != d.URL {
			t.Fatalf("%s: answer %q, %q", d.URL, d.ResponseBody, d.ResponseHeader)
		}
		delete(urls, d.URL)
	}
}
