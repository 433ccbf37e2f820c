package engine

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

func TestSiblings(t *testing.T) {
	o := testOptions(powerfs.New(), newFakeWire())
	e := openGroup(t, o, "a", "b", "c")
	later := Publish{Body: []byte("later"), Delay: time.Hour}
	first, second := publishGroup(t, e, later), publishGroup(t, e, later)
	single, err := e.Publish(&Publish{User: 1, URL: "http://a.example/", Delay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(rs []MemberReceipt) (out []string) {
		for _, r := range rs {
			out = append(out, r.MessageID)
		}
		return out
	}
	check := func(when, id string, want ...string) {
		t.Helper()
		got, err := e.Siblings(1, id)
		if !slices.Equal(got, want) || (len(want) == 0) != errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, %v, want %v", when, got, err, want)
		}
	}
	check("a message to a URL", single.MessageID, single.MessageID)
	check("a later message of a fan-out", first[1].MessageID, first[1].MessageID)
	check("the first", first[0].MessageID, ids(first)...)
	seq, nonce, _ := parseMessageID(first[0].MessageID)
	check("another nonce", MessageID(seq, nonce+1))
	check("no id", "msg_x")
	if _, err := e.Siblings(2, first[0].MessageID); !errors.Is(err, ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	for i := range first {
		check("some have ended", first[0].MessageID, ids(first)...)
		if err := e.Cancel(1, first[i].MessageID); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			closeEngine(t, e)
			e = open(t, o)
		}
	}
	check("all have ended", first[0].MessageID, ids(first)...)
	check("the second publish", second[0].MessageID, ids(second)...)
	if err := e.Cancel(1, single.MessageID); err != nil {
		t.Fatal(err)
	}
	check("a message that has ended", single.MessageID, single.MessageID)
}
