package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// soakPull is a pull queue with its producers and consumers, and what they know of it: what
// was published is acknowledged by a consumer once, in the queue or in its dead letter
// queue, and never handed out after that was answered, whatever happens to the server.
// It is safe for concurrent use.
type soakPull struct {
	c *crash

	mu        sync.Mutex
	next      int
	messages  map[string]*soakPulled // by id
	published int
	kept      int // leases that were left to run out
	extended  int
	released  int
}

// soakPulled is a message of the pull queue.
type soakPulled struct {
	published bool  // that was answered
	acked     int64 // unix ms, when an ack of it was answered; 0: none was
	unsure    bool  // an ack of it had no answer
}

const (
	soakQueue     = "soak"
	soakDeadQueue = "soak-dead"
)

func startSoakPull(c *crash) *soakPull {
	p := &soakPull{c: c, messages: map[string]*soakPulled{}}
	c.lines.call("POST", "/v1/queues", fmt.Sprintf(`{"name":%q,"dead_letter_queue":%q,"max_retries":2}`, soakQueue, soakDeadQueue))
	c.load.every(200*time.Millisecond, func(*rand.Rand) { p.publish() })
	for _, queue := range []string{soakQueue, soakQueue, soakQueue, soakDeadQueue} {
		c.load.every(10*time.Millisecond, func(rnd *rand.Rand) { p.consume(queue, rnd) })
	}
	return p
}

// publish publishes ten messages by one call.
func (p *soakPull) publish() {
	const n = 10
	body := `{"messages":[`
	p.mu.Lock()
	for i := range n {
		if i > 0 {
			body += ","
		}
		p.next++
		body += fmt.Sprintf(`{"message":%d,"delay_seconds":%d}`, p.next, p.next%4/3)
	}
	p.mu.Unlock()
	var answer struct {
		Results []struct {
			ID string `json:"message_id"`
		}
	}
	if !p.c.try("POST", "/v1/queues/"+soakQueue+"/messages", body+"]}", &answer) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range answer.Results {
		p.messageLocked(r.ID).published = true
		p.published++
	}
}

func (p *soakPull) messageLocked(id string) *soakPulled {
	m := p.messages[id]
	if m == nil {
		m = &soakPulled{}
		p.messages[id] = m
	}
	return m
}

// soakLease is for how long a message is handed out.
const soakLease = 3 * time.Second

// consume receives up to twenty messages and acknowledges most of them. Some it releases,
// some it extends first, and of some it lets the lease run out.
func (p *soakPull) consume(queue string, rnd *rand.Rand) {
	var got struct{ Messages []pulled }
	if !p.c.try("POST", "/v1/queues/"+queue+"/receive", fmt.Sprintf(`{"max_messages":20,"wait_seconds":1,"visibility_seconds":%d}`, soakLease/time.Second), &got) {
		return
	}
	for _, m := range got.Messages {
		p.handed(&m)
		path := "/v1/messages/" + m.ID
		switch n := rnd.IntN(40); {
		case n == 0:
			p.count(&p.kept)
			continue
		case n <= 2:
			if p.c.tried("POST", path+"/release", m.lease()) == 200 {
				p.count(&p.released)
			}
			continue
		case n <= 4:
			if p.c.tried("POST", path+"/extend", `{"visibility_seconds":5}`) == 200 {
				p.count(&p.extended)
			}
		}
		p.acknowledged(m.ID, p.c.tried("POST", path+"/ack", m.lease()))
	}
}

func (p *soakPull) count(n *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n++
}

// handed checks a message that was handed out. When that was, its lease's end tells: the
// answer may have been read much later.
func (p *soakPull) handed(m *pulled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.messageLocked(m.ID).acked; at != 0 && m.Visible-soakLease.Milliseconds() > at {
		p.c.t.Errorf("message %s of a pull queue was handed out after it was acknowledged", m.ID)
	}
}

// acknowledged takes the status of an ack: 404 and 409 say that the lease was over.
func (p *soakPull) acknowledged(id string, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := p.messageLocked(id); status {
	case 200:
		m.acked = time.Now().UnixMilli()
	case 0, 429, 503:
		m.unsure = true
	case 404, 409:
	default:
		p.c.t.Errorf("ack of message %s: %d", id, status)
	}
}

// open returns the ids of messages that were published and not acknowledged.
func (p *soakPull) open() (ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, m := range p.messages {
		if m.published && m.acked == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// finish consumes what is left. A message whose ack had no answer may be gone: the server
// says so.
func (p *soakPull) finish() {
	rnd := rand.New(rand.NewPCG(p.c.book.seed, 3))
	for deadline := time.Now().Add(2 * time.Minute); ; {
		ids := p.open()
		if len(ids) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.c.t.Errorf("%d messages of the pull queue were not handed out to the end, one is %s", len(ids), ids[0])
			return
		}
		p.consume(soakQueue, rnd)
		p.consume(soakDeadQueue, rnd)
		for _, id := range ids {
			if p.isUnsure(id) && p.c.tried("GET", "/v1/messages/"+id, "") == 404 {
				p.acknowledged(id, 200)
			}
		}
	}
}

func (p *soakPull) isUnsure(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages[id].unsure
}

func (p *soakPull) report() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("pull queue: %d messages published, each acknowledged; %d leases extended, %d released, %d left to run out", p.published, p.extended, p.released, p.kept)
}

// every has something done again and again while the server is up, until the load ends.
func (l *load) every(d time.Duration, do func(*rand.Rand)) {
	rnd := rand.New(rand.NewPCG(l.book.seed, uint64(d)))
	l.running.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-l.quit:
				return
			}
			select {
			case <-l.gate.wait():
				do(rnd)
			case <-l.quit:
				return
			}
		}
	})
}

// try makes a request that the end of the server may cut short, and decodes its answer. It
// reports whether there was one that is no refusal for the moment; any other refusal fails
// the test.
func (c *crash) try(method, path, body string, into any, header ...string) bool {
	status, answer, err := request(c.t.Context(), method, "http://"+c.load.addr+path, c.creds.Token, body, header...)
	switch {
	case err != nil, status == 429, status == 503:
		return false
	case status/100 != 2:
		c.t.Errorf("%s %s: %d %s", method, path, status, answer)
		return false
	case into == nil:
		return true
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		c.t.Errorf("%s %s: %v in %s", method, path, err, answer)
	}
	return err == nil
}

// tried is try for whoever knows what to do with each status; 0 says that there was no
// answer.
func (c *crash) tried(method, path, body string, header ...string) int {
	status, _, err := request(c.t.Context(), method, "http://"+c.load.addr+path, c.creds.Token, body, header...)
	if err != nil {
		return 0
	}
	return status
}
