package engine

import (
	"sync"
	"time"
)

// visible tells those who wait that the index shows more than before.
type visible struct {
	mu   sync.Mutex
	more chan struct{} // closed when it does; nil: nobody waits
}

// wait returns what is closed then. first says that nobody has waited until now.
func (v *visible) wait() (more <-chan struct{}, first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if first = v.more == nil; first {
		v.more = make(chan struct{})
	}
	return v.more, first
}

// watched says whether somebody waits.
func (v *visible) watched() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.more != nil
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
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		more, first := e.visible.wait()
		if first {
			e.applier.wake() // the batch is to end sooner
		}
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
