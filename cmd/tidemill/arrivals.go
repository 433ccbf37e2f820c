package main

import (
	"sync"
	"time"
)

// Bounds of arrivals, and so of their memory: some 8 MiB.
const (
	arrivalsKept    = 200
	arrivalBodyMost = 32 << 10 // bytes kept of one body
	arrivalHeadMost = 100      // header lines kept of one
)

// caught is one request to the receiver of dev, as the dashboard's catch page reads it.
type caught struct {
	Number    int64       `json:"number"` // from 1, in order
	Time      int64       `json:"time"`   // unix milliseconds
	Method    string      `json:"method"`
	Target    string      `json:"target"`
	Header    [][2]string `json:"header"`
	Body      []byte      `json:"body"` // base64; the beginning
	Bytes     int         `json:"bytes"`
	MessageID string      `json:"messageId,omitempty"`
	Retried   string      `json:"retried,omitempty"`
	Verdict   string      `json:"verdict"`
}

// arrivals are the newest requests to the receiver. It is safe for concurrent use; the zero
// value is ready.
type arrivals struct {
	mu struct {
		sync.Mutex
		list  []caught // oldest first
		count int64
	}
}

// add numbers c and keeps it, with a part of its body; the oldest goes when there are too many.
func (a *arrivals) add(c *caught, at time.Time, body []byte) {
	c.Time, c.Bytes = at.UnixMilli(), len(body)
	c.Body = append([]byte{}, body[:min(len(body), arrivalBodyMost)]...)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.count++
	c.Number = a.mu.count
	if len(a.mu.list) == arrivalsKept {
		copy(a.mu.list, a.mu.list[1:])
		a.mu.list = a.mu.list[:arrivalsKept-1]
	}
	a.mu.list = append(a.mu.list, *c)
}

// since returns those with a number above n, oldest first. What they hold is not changed
// any more.
func (a *arrivals) since(n int64) []caught {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.mu.list {
		if a.mu.list[i].Number > n {
			return append([]caught{}, a.mu.list[i:]...)
		}
	}
	return []caught{}
}
