package dispatch

import (
	"strconv"
	"testing"
)

// TestCounts: attempts are counted by what came of them.
func TestCounts(t *testing.T) {
	statuses := []int{200, 204, 301, 404, 503, 700, 999}
	n := 0
	s := newRawServer(t, func(c *rawConn) {
		for c.request() != "" {
			c.answer("HTTP/1.1 " + strconv.Itoa(statuses[n]) + " x\r\nContent-Length: 0\r\n\r\n")
			n++
		}
	})
	c := newClient(t, Options{})
	for range statuses {
		do(t, c, Attempt{URL: s.URL})
	}
	blocked := newClient(t, Options{Policy: mustPolicy(t, PolicyOptions{})})
	if r := do(t, blocked, Attempt{URL: s.URL}); r.Class != Refused {
		t.Fatalf("class %v", r.Class)
	}
	if got := c.Stats(); got.Statuses != [6]uint64{0: 2, 2: 2, 3: 1, 4: 1, 5: 1} || got.Outcomes[OK] != uint64(len(statuses)) {
		t.Errorf("statuses %v, outcomes %v", got.Statuses, got.Outcomes)
	}
	if got := blocked.Stats(); got.Statuses != [6]uint64{} || got.Outcomes[Refused] != 1 {
		t.Errorf("blocked: statuses %v, outcomes %v", got.Statuses, got.Outcomes)
	}
}
