package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pulled is a message as a consumer gets it.
type pulled struct {
	ID      string `json:"message_id"`
	Lease   string `json:"lease_id"`
	Visible int64  `json:"visible_at"`
	Message int
}

func (m *pulled) lease() string { return fmt.Sprintf(`{"lease_id":%q}`, m.Lease) }

// pullPost makes one call of the queue API, which must succeed, and decodes its answer.
func pullPost[T any](t testing.TB, p *process, path, body string) (v T) {
	t.Helper()
	status, answer := call(t, "POST", p.url()+"/v1/"+path, devUsers[0].Token, body)
	if status != 200 {
		t.Fatalf("POST /v1/%s %s: %d %s", path, body, status, answer)
	}
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return v
}

func pullReceive(t testing.TB, p *process, queue, body string) []pulled {
	t.Helper()
	return pullPost[struct{ Messages []pulled }](t, p, "queues/"+queue+"/receive", body).Messages
}

// pullKeyed publishes the numbers from 0 to n-1, each under a key of its own, and returns
// their ids.
func pullKeyed(t testing.TB, p *process, n int, repeat bool) (ids []string) {
	t.Helper()
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{"message":%d,"idempotency_key":"key-%d"}`, i, i)
	}
	answer := pullPost[struct {
		Results []struct {
			ID           string `json:"message_id"`
			Deduplicated bool
		}
	}](t, p, "queues/leases/messages", `{"messages":[`+strings.Join(items, ",")+`]}`)
	for i, r := range answer.Results {
		if r.ID == "" || r.Deduplicated != repeat {
			t.Errorf("number %d: %+v, want deduplicated %t", i, r, repeat)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// TestLeasesSurviveSIGKILL: after kill -9 a leased message is not handed to anybody else
// before its deadline, and its holder can still acknowledge it; what was acknowledged
// never comes back; everything else does; and idempotency keys find their messages.
func TestLeasesSurviveSIGKILL(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dev", "--port", "0", "--data", dir)
	const n = 60
	ids := pullKeyed(t, p, n, false)
	held := pullReceive(t, p, "leases", `{"max_messages":8,"visibility_seconds":3600}`)
	brief := pullReceive(t, p, "leases", `{"max_messages":8,"visibility_seconds":2}`)
	done := map[string]bool{} // acknowledged
	for _, m := range append(held[6:8:8], brief[6:]...) {
		pullPost[any](t, p, "messages/"+m.ID+"/ack", m.lease())
		done[m.ID] = true
	}
	for i := range 2 { // by the lease that there is, as the article does it
		pullPost[any](t, p, "messages/"+brief[i].ID+"/extend", `{"visibility_seconds":3600}`)
	}
	pullPost[any](t, p, "messages/"+brief[2].ID+"/release", brief[2].lease())
	held, brief = append(held[:6], brief[:2]...), brief[2:6]

	unsure := killWhileConsuming(t, p, done)
	p = start(t, "dev", "--port", "0", "--data", dir)
	rest := map[string]bool{} // to be received now, or when a lease has run out
	for _, id := range ids {
		rest[id] = !done[id]
	}
	for _, m := range held {
		rest[m.ID] = false
	}
	expectRest(t, p, rest, unsure, brief)
	for _, m := range held {
		_, text := call(t, "GET", p.url()+"/v1/messages/"+m.ID, devUsers[0].Token, "")
		var now pulled
		if err := json.Unmarshal([]byte(text), &now); err != nil || now.Lease != m.Lease || now.Visible < m.Visible {
			t.Errorf("a held message was %+v and is %s", m, text)
		}
		pullPost[any](t, p, "messages/"+m.ID+"/ack", m.lease())
	}
	if again := pullKeyed(t, p, n, true); !slices.Equal(again, ids) {
		t.Errorf("the keys find %v, want %v", again, ids)
	}
	p.kill()
	p = start(t, "dev", "--port", "0", "--data", dir)
	for _, m := range pullReceive(t, p, "leases", `{"max_messages":100,"wait_seconds":0.3}`) {
		if !unsure[m.ID] {
			t.Errorf("acknowledged and back: %+v", m)
		}
	}
	p.stop(t)
}

// killWhileConsuming kills p while consumers receive and acknowledge. It adds to done what
// was acknowledged, and returns what may have been, or may still be leased.
func killWhileConsuming(t *testing.T, p *process, done map[string]bool) (unsure map[string]bool) {
	t.Helper()
	const consumers, before = 4, 12
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		acked = make(chan struct{}, 1000)
		lost  bool // a receive had no answer: its messages are leased, and nobody knows which
	)
	unsure = map[string]bool{}
	url, token := p.url()+"/v1/", devUsers[0].Token
	for range consumers {
		wg.Go(func() {
			for {
				status, text, err := request(context.Background(), "POST", url+"queues/leases/receive", token, `{"max_messages":1,"visibility_seconds":2}`)
				if err != nil || status != 200 {
					mu.Lock()
					lost = true
					mu.Unlock()
					return
				}
				var got struct{ Messages []pulled }
				if json.Unmarshal([]byte(text), &got) != nil || len(got.Messages) == 0 {
					return
				}
				m := got.Messages[0]
				status, _, err = request(context.Background(), "POST", url+"messages/"+m.ID+"/ack", token, m.lease())
				mu.Lock()
				if err == nil && status == 200 {
					done[m.ID] = true
				} else {
					unsure[m.ID] = true
				}
				mu.Unlock()
				acked <- struct{}{}
			}
		})
	}
	for range before {
		<-acked
	}
	p.kill()
	wg.Wait()
	t.Logf("killed with %d acknowledged, %d unsure, a receive without answer: %t", len(done), len(unsure), lost)
	return unsure
}

// expectRest receives and acknowledges until everything of rest was there, that of unsure
// or not, and nothing else was; of brief nothing before its time.
func expectRest(t *testing.T, p *process, rest, unsure map[string]bool, brief []pulled) {
	t.Helper()
	missing := func() (ids []string) {
		for id, is := range rest {
			if is && !unsure[id] {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for until := time.Now().Add(20 * time.Second); len(missing()) > 0; {
		if time.Now().After(until) {
			t.Fatalf("lost: %v", missing())
		}
		for _, m := range pullReceive(t, p, "leases", `{"max_messages":100,"wait_seconds":0.5}`) {
			now := time.Now().UnixMilli()
			if !rest[m.ID] {
				t.Errorf("handed out: %+v, which is acknowledged, held by somebody, or came twice", m)
			}
			for _, b := range brief[1:] { // the first was released
				if b.ID == m.ID && now < b.Visible {
					t.Errorf("handed out %d ms before the lease ran out: %+v", b.Visible-now, m)
				}
			}
			rest[m.ID] = false
			pullPost[any](t, p, "messages/"+m.ID+"/ack", m.lease())
		}
	}
}
