package engine

import (
	"sync"
	"time"
)

// visible tells those who wait that the index shows more than before.
type visible struct {
	mu      sync.Mutex
	more    chan struct{} // closed when it does; nil: nobody has asked since it last did
	waiting int           // how many wait
}

func (v *visible) wait() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.more == nil {
		v.more = make(chan struct{})
	}
	return v.more
}

// count counts n in who wait, or out, and returns how many do.
func (v *visible) count(n int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waiting += n
	return v.waiting
}

func (v *visible) tell() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.more != nil {
		close(v.more)
		v.more = nil
	}
}

// WaitEvents waits until something was logged beyond the cursor and has become visible, of
// any account, for at most d, or until stop is closed. It says whether that was so.
func (e *Engine) WaitEvents(cursor string, d time.Duration, stop <-chan struct{}) (bool, error) {
	from, _, err := parseCursor(cursor)
	if err != nil {
		return false, err
	}
	if e.visible.count(1) == 1 {
		e.applier.wake() // the open batch is to end sooner
	}
	defer e.visible.count(-1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		more := e.visible.wait()
		if placeOf(e.idx.Applied(), 0) > from {
			return true, nil
		}
		select {
		case <-more:
		case <-timer.C:
			return false, nil
		case <-stop:
			return false, nil
		case <-e.stop:
			return false, ErrClosed
		}
	}
}
