package dispatch

import (
	"fmt"
	"runtime/debug"
	"time"
)

// A writer sends one request while its exchange reads the answer. A panic in it
// would end the process, because nobody above can recover it (P50): it is kept
// and continues in the exchange's own goroutine.
type writer struct {
	x     *exchange
	done  chan struct{} // closed when the fields below are set
	err   error
	panic string
}

func (x *exchange) startWriter() *writer {
	w := &writer{x: x, done: make(chan struct{})}
	go w.run()
	return w
}

func (w *writer) run() {
	defer close(w.done)
	defer func() {
		if p := recover(); p != nil {
			w.panic = fmt.Sprintf("%v, while writing a request\n%s", p, debug.Stack())
			_ = w.x.conn.SetReadDeadline(time.Unix(1, 0)) // no answer will come
		}
	}()
	w.err = w.x.send()
}

// stop cuts off what is not written yet, waits for the goroutine and returns what
// came of the write. It may be called twice.
func (w *writer) stop() error {
	_ = w.x.conn.SetWriteDeadline(time.Unix(1, 0))
	<-w.done
	if p := w.panic; p != "" {
		w.panic = ""
		panic(p)
	}
	return w.err
}
