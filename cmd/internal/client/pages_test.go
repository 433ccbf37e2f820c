package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// TestEach lists 25 numbers in pages of at most 10, with a page that is empty, as those of history
// can be, and checks how many are asked for.
func TestEach(t *testing.T) {
	var counts []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		counts = append(counts, q.Get("count"))
		count, _ := strconv.Atoi(q.Get("count"))
		from, _ := strconv.Atoi(q.Get("cursor"))
		if from == 10 && count == 10 {
			_, _ = io.WriteString(w, `{"events":[],"logs":[],"cursor":"11"}`)
			return
		}
		var page []string
		for n := from; n < min(from+count, 25); n++ {
			page = append(page, fmt.Sprintf(`{"n": %d, "label": %q}`, n, q.Get("label")))
		}
		cursor := ""
		if from+count < 25 {
			cursor = fmt.Sprintf(`,"cursor":"%d"`, from+count)
		}
		list := strings.Join(page, ", ")
		fmt.Fprintf(w, `{"logs":[%s],"more":{"a":[1,{}]},"events":[%s]%s}`, list, list, cursor)
	})
	for _, c := range []struct {
		limit  int
		want   int
		counts string
	}{
		{0, 24, "10 10 10 10"}, // the empty page skips one
		{12, 12, "10 2"},
		{10, 10, "10"},
		{3, 3, "3"},
		{100, 24, "10 10 10 10"},
	} {
		counts = nil
		var got []string
		err := s.Each(t.Context(), &Request{Query: map[string][]string{"label": {"x"}}}, Listing{Member: "events", Page: 10}, c.limit, func(raw json.RawMessage) error {
			got = append(got, string(raw))
			return nil
		})
		if err != nil || len(got) != c.want || strings.Join(counts, " ") != c.counts {
			t.Errorf("limit %d: %d elements by counts %v (%v), want %d by %s", c.limit, len(got), counts, err, c.want, c.counts)
		}
		if len(got) > 0 && got[0] != `{"n": 0, "label": "x"}` {
			t.Errorf("an element is %s, not as the server wrote it", got[0])
		}
	}
}

// TestEachArray lists what has no pages, and checks that a list that is wrong is an error and none
// that ends early.
func TestEachArray(t *testing.T) {
	answer := ""
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, answer) })
	stop := errors.New("stop")
	for _, c := range []struct {
		answer, member string
		limit          int
		want           string
		bad            bool
	}{
		{`[1,2,3]`, "", 0, "1 2 3", false},
		{`[1,2,3]`, "", 2, "1 2", false},
		{`[]`, "", 0, "", false},
		{`{"messages":[7]}`, "messages", 0, "7", false},
		{`{}`, "messages", 0, "", false},
		{`[1,2`, "", 0, "1 2", true},
		{``, "", 0, "", true},
		{`{"messages":[7]`, "messages", 0, "7", true},
		{`{"messages":{}}`, "messages", 0, "", true},
		{`[1]`, "messages", 0, "", true},
		{`{"messages":[],"cursor":""}`, "messages", 0, "", false},
	} {
		answer = c.answer
		var got []string
		err := s.Each(t.Context(), &Request{}, Listing{Member: c.member}, c.limit, func(raw json.RawMessage) error {
			got = append(got, string(raw))
			return nil
		})
		if strings.Join(got, " ") != c.want || (exit.Of(err) == exit.Unavailable) != c.bad || !c.bad && err != nil {
			t.Errorf("%s: %v and %v, want %s, bad %t", c.answer, got, err, c.want, c.bad)
		}
	}
	answer = `[1,2,3]`
	if err := s.Each(t.Context(), &Request{}, Listing{}, 0, func(json.RawMessage) error { return stop }); !errors.Is(err, stop) || exit.Of(err) != exit.Failure {
		t.Errorf("fn's error came back as %v", err)
	}
	answer = `{"m":[],"cursor":"1"}`
	if err := s.Each(t.Context(), &Request{}, Listing{Member: "m"}, 0, nil); err == nil {
		t.Error("a cursor that stands still is followed for ever")
	}
}

// TestFollow reads a stream whose connections break: behind an event, in the middle of one, before
// an id, and while the server is busy. Nothing is missed and nothing comes twice.
func TestFollow(t *testing.T) {
	var asked []string
	connections := []string{
		"id: 1\ndata: {\"n\":1}\n\nid: 2\ndata: {\"n\"",
		"503",
		": nothing new\nid: 3\n\n",
		"id: 4\ndata: {\"n\":2}\n\n",
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID")+"/"+r.URL.Query().Get("fromDate"))
		if len(asked) > len(connections) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":"revoked"}`)
			return
		}
		if c := connections[len(asked)-1]; c != "503" {
			_, _ = io.WriteString(w, c)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":"busy"}`)
	})
	var got []string
	var told strings.Builder
	session := &Session{Server: s, Err: &told}
	err := session.follow(t.Context(), &Request{Path: "/v2/logs/stream"}, 1, func(data json.RawMessage) error {
		got = append(got, string(data))
		return nil
	})
	if exit.Of(err) != exit.Denied || !slices.Equal(got, []string{`{"n":1}`, `{"n":2}`}) {
		t.Errorf("%v and %v, want two events and a refusal", got, err)
	}
	if !slices.Equal(asked, []string{"/", "1/", "1/", "3/", "4/"}) {
		t.Errorf("connections began behind %v", asked)
	}
	if strings.Count(told.String(), "The stream broke (") != 4 {
		t.Errorf("told: %s", told.String())
	}
}

// TestFollowEnds: a server that refuses at first is not tried again, an error of fn comes back, and
// a connection that breaks before its first id begins again where it began.
func TestFollowEnds(t *testing.T) {
	refuses := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	if err := (&Session{Server: refuses}).Follow(t.Context(), &Request{}, nil); exit.Of(err) != exit.TempFail {
		t.Errorf("a server that refuses: %v", err)
	}
	stop, n := errors.New("stop"), 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:09 GMT")
		if n++; n > 1 {
			fmt.Fprintf(w, "id: 1\ndata: %s\n\n", r.URL.Query().Get("fromDate"))
		}
	})
	got := ""
	err := (&Session{Server: s, Err: io.Discard}).follow(t.Context(), &Request{}, 1, func(data json.RawMessage) error {
		got = string(data)
		return stop
	})
	if !errors.Is(err, stop) || got != "9000" {
		t.Errorf("%v, fromDate %s of the second connection, want 9000", err, got)
	}
}
