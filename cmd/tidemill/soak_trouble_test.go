package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// soakTrouble is what does not go well in a soak: a destination that fails for good, one
// that nobody listens at, one that takes its time, and messages that are canceled; and
// batches, which do go well. It knows what became of each message, and deletes or redrives dead letters. It is safe for
// concurrent use.
type soakTrouble struct {
	c     *crash
	slow  time.Duration     // what the slow destination takes
	hosts map[string]string // by kind

	mu       sync.Mutex
	messages []*troubled
}

// The kinds of trouble, which are labels of their messages too.
const (
	troubleFails  = "fails"  // 500 until it is redriven
	troubleDead   = "dead"   // refuses connections
	troubleSlow   = "slow"   // 200 after slow
	troubleCancel = "cancel" // due in an hour, and canceled at once
	troubleNone   = "none"   // 200
)

// troubled is a message of soakTrouble.
type troubled struct {
	kind     string
	id       string // "" until its publish was answered
	came     int    // attempts that were answered with 200
	buried   bool   // it was seen in the dead letter queue
	gone     bool   // it was canceled
	redriven bool   // it was asked for to be; until that is answered
	again    bool   // that was answered
}

func startSoakTrouble(c *crash, slow time.Duration) *soakTrouble {
	s := &soakTrouble{c: c, slow: slow, hosts: map[string]string{}}
	s.hosts[troubleDead] = "http://127.0.0.1" + portOf(freeAddr(c.t))
	for i, kind := range []string{troubleFails, troubleSlow, troubleCancel, troubleNone} {
		s.hosts[kind] = listenHost(c.t, fmt.Sprintf("127.0.0.%d", 10+crashHosts+i), s.arrive)
	}
	c.load.every(250*time.Millisecond, func(*rand.Rand) { s.publish(troubleFails) })
	c.load.every(500*time.Millisecond, func(*rand.Rand) { s.publish(troubleDead) })
	c.load.every(333*time.Millisecond, func(*rand.Rand) { s.publish(troubleSlow) })
	c.load.every(100*time.Millisecond, func(*rand.Rand) { s.cancel(s.publish(troubleCancel)) })
	c.load.every(200*time.Millisecond, func(*rand.Rand) { s.batch() })
	c.load.every(time.Second, func(rnd *rand.Rand) { s.tend(rnd) })
	return s
}

// publish sends one message and returns it, or nil if there was no receipt.
func (s *soakTrouble) publish(kind string) *troubled {
	m, target := s.add(kind)
	header := []string{"Upstash-Retries", "1", "Upstash-Retry-Delay", "100", "Upstash-Label", "soak"}
	if kind == troubleCancel {
		header = append(header, "Upstash-Delay", "1h")
	}
	var answer struct{ MessageID string }
	if !s.c.try("POST", "/v2/publish/"+target, "trouble", &answer, header...) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.id = answer.MessageID
	return m
}

// add notes a message that is about to be published, and returns where to.
func (s *soakTrouble) add(kind string) (m *troubled, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m = &troubled{kind: kind}
	s.messages = append(s.messages, m)
	return m, fmt.Sprintf("%s/%s/%d", s.hosts[kind], kind, len(s.messages))
}

// batch publishes ten messages by one call.
func (s *soakTrouble) batch() {
	const n = 10
	type item struct {
		Destination string `json:"destination"`
		Body        string `json:"body"`
	}
	items, sent := make([]item, n), make([]*troubled, n)
	for i := range items {
		sent[i], items[i].Destination = s.add(troubleNone)
		items[i].Body = "one of a batch"
	}
	body, err := json.Marshal(items)
	if err != nil {
		s.c.t.Error(err)
		return
	}
	var receipts []struct{ MessageID string }
	if !s.c.try("POST", "/v2/batch", string(body), &receipts) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range receipts {
		sent[i].id = r.MessageID
	}
	if len(receipts) != n {
		s.c.t.Errorf("a batch of %d has %d receipts", n, len(receipts))
	}
}

// repeats is how many attempts came again that were answered with 200.
func (s *soakTrouble) repeats() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		n += int64(max(0, m.came-1))
	}
	return n
}

func (s *soakTrouble) cancel(m *troubled) {
	if m == nil {
		return
	}
	status := s.c.tried("DELETE", "/v2/messages/"+m.id, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch status {
	case 200, 202:
		m.gone = true
	case 404: // an earlier try did it, though nobody heard of it
		m.gone = true
	case 0, 429, 503:
	default:
		s.c.t.Errorf("cancel %s: %d", m.id, status)
	}
}

// byURL finds a message by where it goes.
func (s *soakTrouble) byURL(target string) *troubled {
	n, _ := strconv.Atoi(target[strings.LastIndexByte(target, '/')+1:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < 1 || n > len(s.messages) {
		return nil
	}
	return s.messages[n-1]
}

func (s *soakTrouble) arrive(ctx *fasthttp.RequestCtx) {
	m := s.byURL(string(ctx.Path()))
	if m == nil {
		s.c.t.Errorf("%s came, which nobody sent", ctx.Path())
		return
	}
	if m.kind == troubleSlow {
		time.Sleep(s.slow) // the destination's slowness
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.kind == troubleCancel:
		s.c.t.Errorf("%s came, an hour early or though it was canceled", ctx.Path())
	case m.kind == troubleFails && !m.redriven:
		ctx.SetStatusCode(500)
		return
	}
	m.came++
}

// letter is what is read of a dead letter.
type letter struct{ DLQID, URL, MessageID string }

// tend looks at the first dead letters there are, and deletes or redrives them, but for one
// in eight, which stay for some looks.
func (s *soakTrouble) tend(rnd *rand.Rand) {
	var page struct{ Messages []letter }
	if !s.c.try("GET", "/v2/dlq?label=soak", "", &page) {
		return
	}
	var unwanted []string
	for i := range page.Messages {
		l := &page.Messages[i]
		m := s.byURL(l.URL)
		if m == nil || m.kind != troubleFails && m.kind != troubleDead {
			s.c.t.Errorf("a dead letter %+v, which is none of those that should be", *l)
			continue
		}
		switch n := rnd.IntN(8); {
		case n == 0:
			s.bury(m, false)
		case n == 1 && m.kind == troubleFails:
			s.bury(m, true)
			s.redrive(m, l)
		default:
			s.bury(m, false)
			unwanted = append(unwanted, `"`+l.DLQID+`"`)
		}
	}
	if len(unwanted) > 0 {
		s.c.try("DELETE", "/v2/dlq", `{"dlqIds":[`+strings.Join(unwanted, ",")+`]}`, nil)
	}
}

// bury notes that a message was seen in the dead letter queue.
func (s *soakTrouble) bury(m *troubled, redriven bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.buried, m.redriven = true, m.redriven || redriven
}

func (s *soakTrouble) redrive(m *troubled, l *letter) {
	if s.c.tried("POST", "/v2/dlq/retry/"+l.DLQID, "") != 201 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.again = true
}

// lookUp asks for a message that was not seen in the dead letter queue.
func (s *soakTrouble) lookUp(m *troubled) {
	var page struct{ Messages []letter }
	if s.c.try("GET", "/v2/dlq?messageId="+m.id, "", &page) && len(page.Messages) == 1 {
		s.bury(m, false)
	}
}

// lost says whether a message has not become what it should.
func (m *troubled) lost() bool {
	switch {
	case m.id == "":
		return false // nothing was promised
	case m.kind == troubleSlow, m.kind == troubleNone, m.again:
		return m.came == 0
	case m.kind == troubleCancel:
		return !m.gone
	}
	return !m.buried
}

// finish waits until each message has become what it should.
func (s *soakTrouble) finish() {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var lost []*troubled
		s.mu.Lock()
		for _, m := range s.messages {
			if m.lost() {
				lost = append(lost, m)
			}
		}
		s.mu.Unlock()
		if len(lost) == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.c.t.Errorf("%d messages to destinations in trouble are lost, one is %+v", len(lost), *lost[0])
			return
		}
		for _, m := range lost {
			switch m.kind {
			case troubleCancel:
				s.cancel(m)
			case troubleFails, troubleDead:
				s.lookUp(m)
			}
		}
	}
}

func (s *soakTrouble) report() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	acked, kinds, redriven := 0, map[string]int{}, 0
	for _, m := range s.messages {
		if m.id != "" {
			acked++
			kinds[m.kind]++
		}
		if m.again {
			redriven++
		}
	}
	return fmt.Sprintf("in trouble: %d messages, %d in batches and %d to a slow host, all delivered; %d to a failing and %d to a dead one, all of them dead letters, of which %d were redriven and delivered; %d canceled, of which none came",
		acked, kinds[troubleNone], kinds[troubleSlow], kinds[troubleFails], kinds[troubleDead], redriven, kinds[troubleCancel])
}
