package httpapi

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// waiters bounds the requests that hold a connection for long, all of them together and
// those of one account, which get half as many: no account keeps out the others.
type waiters struct {
	most, mostEach int

	mu    sync.Mutex
	all   int
	users map[engine.UserID]int
}

func (w *waiters) init(most int) {
	w.most = max(most, 1)
	w.mostEach = max(most/2, 1)
	w.users = make(map[engine.UserID]int)
}

func (w *waiters) enter(u engine.UserID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == w.most || w.users[u] == w.mostEach {
		return false
	}
	w.all++
	w.users[u]++
	return true
}

func (w *waiters) leave(u engine.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.users[u]--; w.users[u] == 0 {
		delete(w.users, u)
	}
}

var (
	errWaiters     = &failure{status: http.StatusTooManyRequests, text: "too many receives are waiting: try again in a moment, or with wait_seconds 0", retry: true}
	errBusyReceive = &failure{status: http.StatusServiceUnavailable, text: "too many bodies are in flight: try again in a moment", retry: true}
)

// watch calls gone when the client closes its side of the connection, until the function
// that it returns is called. Meanwhile nothing else may read: what is buffered may move,
// so nothing that aliases the body may be used any more.
func (c *conn) watch(gone func()) (stop func()) {
	c.nc.SetReadDeadline(time.Time{}) //nolint:errcheck // the read reports it
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := c.br.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			gone()
		}
	}()
	return func() {
		c.nc.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed connection has no readers either
		<-done
		c.readBy = time.Time{} // every read that follows sets its own
	}
}
