package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// now is a time at which nothing happens.
var now = time.Unix(1_800_000_000, 0)

// TestCrashBookComplains: the crash test is worth what its book notices.
func TestCrashBookComplains(t *testing.T) {
	b := newBook(7)
	seq := b.send(now, 1)
	for len(b.body(seq)) < 100 { // one whose body can be damaged
		seq = b.send(now, 1)
	}
	b.ack(seq, "msg_1")
	target, body := "/"+destination("", seq)[1:], b.body(seq)
	if !bytes.Equal(body, b.body(seq)) || bytes.Equal(body, b.body(seq+1)) {
		t.Fatal("a body is not a function of its number")
	}
	if b.outstanding() != 1 || len(b.missing(10)) != 1 {
		t.Fatalf("%d outstanding", b.outstanding())
	}
	damaged := bytes.Clone(body)
	damaged[50] ^= 1
	for _, c := range []struct {
		what, target string
		body         []byte
		at           time.Time
		status       int
	}{
		{"", target, body, now, 503},
		{"bytes that differ", target, damaged, now, 200},
		{"bytes that differ", target, body[1:], now, 200},
		{"1 ms early", target, body, now.Add(-time.Millisecond), 200},
		{"never sent", "/999999", nil, now, 200},
		{"holds no number", "/", nil, now, 200},
		{"invalid syntax", "/x", nil, now, 200},
		{"", target, body, now, 200},
	} {
		before := len(b.complaints())
		if status := b.arrive(c.target, c.body, c.at); status != c.status {
			t.Errorf("%q: status %d, want %d", c.what, status, c.status)
		}
		said := strings.Join(b.complaints()[before:], "\n")
		if (c.what == "") != (said == "") || !strings.Contains(said, c.what) {
			t.Errorf("complains %q, want %q", said, c.what)
		}
	}
	if b.outstanding() != 0 || b.duplicates.Load() != 3 || b.failed.Load() != 1 {
		t.Errorf("%d outstanding, %d duplicates, %d failed", b.outstanding(), b.duplicates.Load(), b.failed.Load())
	}
}

// TestCrashBookBuries: a dead letter ends a message, and is noted as wrong unless
// the mode allows it; so is an id that is given twice.
func TestCrashBookBuries(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		b := newBook(7)
		seq := b.send(now, 0)
		b.ack(seq, "msg_1")
		for range 2 { // the queue is read again and again
			b.bury("msg_1", "damaged", func(got uint64, _ string) bool { return allowed && got == seq })
		}
		b.bury("msg_2", "of a publish without an answer", func(uint64, string) bool { return false })
		if b.outstanding() != 0 || b.buried.Load() != 1 || b.pending(seq) || len(b.complaints()) != map[bool]int{true: 0, false: 1}[allowed] {
			t.Errorf("allowed %v: %d outstanding, %d buried, complaints %q", allowed, b.outstanding(), b.buried.Load(), b.complaints())
		}
	}
	b := newBook(7)
	b.ack(b.send(now, 0), "msg_1")
	b.ack(b.send(now, 0), "msg_1")
	if len(b.complaints()) != 1 {
		t.Errorf("an id given twice: %q", b.complaints())
	}
}
