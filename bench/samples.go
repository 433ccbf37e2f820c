package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// samplesMax is how many messages of a round are looked up.
const samplesMax = 200

// samples are some of the messages of a round that the server is to have stored, each as
// likely as any other that was offered. Safe for concurrent use.
type samples struct {
	mu   sync.Mutex
	seen int
	kept []sample
}

// sample is a message that was acknowledged.
type sample struct{ id, body string }

// add offers a message.
func (s *samples) add(id, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if len(s.kept) < samplesMax {
		s.kept = append(s.kept, sample{id, body})
		return
	}
	if k := rand.IntN(s.seen); k < samplesMax {
		s.kept[k] = sample{id, body}
	}
}

// check looks the samples up and forgets them. The messages must be there, with their
// bodies, which are text.
func (s *samples) check(ctx context.Context, server Server, addr string, b *bodies, timeout time.Duration) error {
	s.mu.Lock()
	kept := s.kept
	s.kept, s.seen = nil, 0
	s.mu.Unlock()
	w := newWire(ctx, addr, timeout)
	w.most += 2 * b.size()
	defer w.close()
	for _, m := range kept {
		err := w.post(requestHead("GET", server, addr, "/v2/messages/"+m.id), nil)
		if no, ok := errors.AsType[*refusal](err); ok && no.status == fasthttp.StatusNotFound {
			return fmt.Errorf("%w: %s was acknowledged and is not there", ErrLost, m.id)
		}
		if err != nil {
			return fmt.Errorf("look up %s: %w", m.id, err)
		}
		if !bytes.Contains(w.resp.Body(), []byte(m.body)) {
			return fmt.Errorf("%w: %s is stored as %.300s", ErrCorrupt, m.id, w.resp.Body())
		}
	}
	return nil
}

// requestHead is the head of a request without a body.
func requestHead(method string, s Server, addr, target string, headers ...string) []byte {
	if s.Token != "" {
		headers = append(headers, "Authorization: Bearer "+s.Token)
	}
	head := postHead(addr, target, 0, headers...)
	return append([]byte(method), head[len("POST"):]...)
}
