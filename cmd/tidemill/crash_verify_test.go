package main

import (
	"encoding/json"
	"net/url"
	"strings"
)

// readDeadLetters notes in the book what lies in the dead letter queue. Messages
// get there by damage alone: no destination fails one more often than it is
// retried.
func (c *crash) readDeadLetters() {
	c.t.Helper()
	for cursor := ""; ; {
		var page struct {
			Messages []struct{ MessageID, Error string }
			Cursor   string
		}
		c.get("/v2/dlq?cursor="+url.QueryEscape(cursor), &page)
		for _, m := range page.Messages {
			c.book.bury(m.MessageID, m.Error, c.fault.mayBury)
		}
		if cursor = page.Cursor; cursor == "" {
			return
		}
	}
}

func (c *crash) get(path string, into any) {
	c.t.Helper()
	status, answer := call(c.t, "GET", c.proc.url()+path, c.creds.Token, "")
	if status != 200 {
		c.t.Fatalf("GET %s: %d %s", path, status, answer)
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		c.t.Fatalf("GET %s: %v in %s", path, err, answer)
	}
}

// lost asks the server for each acknowledged message that has not come, and
// returns how many it does not know. Such a message is lost: it is not pending,
// and if it had been delivered the book would have had it before the server
// forgot it.
func (c *crash) lost() (n int) {
	c.t.Helper()
	for _, id := range c.book.outstandingIDs() {
		status, answer := call(c.t, "GET", c.proc.url()+"/v2/messages/"+id, c.creds.Token, "")
		switch {
		case status == 404 && c.book.isOutstanding(id):
			n++
		case status != 200 && status != 404:
			c.t.Fatalf("GET of message %s: %d %s", id, status, strings.TrimSpace(answer))
		}
	}
	return n
}
