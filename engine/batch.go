package engine

import "time"

// A batch of the index ends when somebody needs it: at once when a read waits for it,
// watchDelay after its first group while somebody follows what becomes visible, else when
// it is full (index.Applier.Full) or batchDelay old (X1). The longer a batch, the more
// messages end inside it and are never written (X3): of those that live for 50 ms none if
// it ends after 20 ms, nineteen in twenty if it ends after a second (BenchmarkTraffic).
//
// What waits for the end of a batch is bounded by its size: entries of ended messages in
// the core, ids and claims that the index does not know yet.
const (
	batchDelay = time.Second
	watchDelay = 20 * time.Millisecond
)

// batchDelay returns how old the open batch may become.
func (e *Engine) batchDelay() time.Duration {
	if e.visible.count(0) > 0 {
		return watchDelay
	}
	return batchDelay
}

// batchTimer ends a batch that nobody asks for.
type batchTimer struct {
	*time.Timer
	began time.Time     // when the open batch was first seen
	delay time.Duration // how long after that the timer fires; 0: it does not
}

func (t *batchTimer) init() {
	t.Timer = time.NewTimer(time.Hour)
	t.Stop()
}

// set has the timer fire when the open batch is as old as this.
func (t *batchTimer) set(delay time.Duration) {
	if t.delay == delay {
		return
	}
	if t.delay == 0 {
		t.began = time.Now()
	}
	t.delay = delay
	t.Reset(delay - time.Since(t.began))
}

// stop says that the batch has ended.
func (t *batchTimer) stop() {
	if t.delay != 0 {
		t.delay = 0
		t.Timer.Stop()
	}
}
