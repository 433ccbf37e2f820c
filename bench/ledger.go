package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// States of a message, four bits each.
const (
	stateArrived   = 1 << iota // it came to the sink
	stateAcked                 // its publish was answered 2xx
	stateAbandoned             // its publish failed: it may come or not
	stateRefused               // it was refused: it must not come
	stateMask      = 1<<4 - 1
)

const (
	ledgerChunk  = 1 << 12 // words; 16 messages each
	ledgerChunks = 1 << 12
	ledgerMax    = ledgerChunks * ledgerChunk * 16 // messages: 268 million
)

// ledger knows what became of each message of one side. Safe for concurrent use.
type ledger struct {
	next       atomic.Uint64
	acked      atomic.Int64
	settled    atomic.Int64 // acked and arrived
	duplicates atomic.Int64
	chunks     [ledgerChunks]atomic.Pointer[[ledgerChunk]atomic.Uint64]
	room       chan struct{} // holds a token for each message under way; nil: no bound
	unmeasured bool          // arrivals are not recorded: a load beside what is measured
}

func newUnmeasuredLedger() *ledger {
	l := newLedger(0)
	l.unmeasured = true
	return l
}

func newLedger(backlog int) *ledger {
	l := new(ledger)
	if backlog > 0 {
		l.room = make(chan struct{}, backlog)
	}
	return l
}

// open gives out a sequence number, when fewer messages than the backlog are under
// way; it waits for that until stop is closed.
func (l *ledger) open(stop <-chan struct{}) (uint64, error) { return l.openMany(1, stop) }

// openMany gives out n sequence numbers in a row and returns the first of them. The backlog
// must be at least n for each caller, or some wait for what others hold.
func (l *ledger) openMany(n int, stop <-chan struct{}) (uint64, error) {
	for held := 0; l.room != nil && held < n; held++ {
		select {
		case l.room <- struct{}{}:
		case <-stop:
			for range held {
				l.release()
			}
			return 0, errStopped
		}
	}
	seq := l.next.Add(uint64(n)) - uint64(n)
	if seq+uint64(n) > ledgerMax {
		panic("bench: BUG: more messages in a run than a ledger holds")
	}
	return seq, nil
}

// set adds a state bit and returns the states that there were before.
func (l *ledger) set(seq uint64, state uint64) uint64 {
	slot := &l.chunks[seq/16/ledgerChunk]
	chunk := slot.Load()
	if chunk == nil {
		slot.CompareAndSwap(nil, new([ledgerChunk]atomic.Uint64))
		chunk = slot.Load()
	}
	shift := seq % 16 * 4
	old := chunk[seq/16%ledgerChunk].Or(state << shift)
	return old >> shift & stateMask
}

func (l *ledger) ack(seq uint64) {
	l.acked.Add(1)
	if l.set(seq, stateAcked)&stateArrived != 0 {
		l.settled.Add(1)
	}
}

// abandon notes a failed publish, which no longer takes part in the backlog.
func (l *ledger) abandon(seq uint64) {
	if l.set(seq, stateAbandoned)&stateArrived == 0 {
		l.release()
	}
}

// settle notes how a publish ended, and returns its error.
func (l *ledger) settle(seq uint64, err error) error {
	if err != nil {
		l.abandon(seq)
		return err
	}
	l.ack(seq)
	return nil
}

// refuse notes a publish of which the server said that it stored nothing.
func (l *ledger) refuse(seq uint64) error {
	if l.set(seq, stateRefused)&stateArrived != 0 {
		return fmt.Errorf("%w: number %d was refused and delivered", ErrCorrupt, seq)
	}
	l.release()
	return nil
}

// arrive notes an arrival and reports whether it is the first of this message. An
// error means that no such message was sent.
func (l *ledger) arrive(seq uint64) (first bool, err error) {
	if seq >= l.next.Load() {
		return false, fmt.Errorf("%w: sequence number %d was never given out", ErrCorrupt, seq)
	}
	old := l.set(seq, stateArrived)
	if old&stateRefused != 0 {
		return false, fmt.Errorf("%w: number %d was refused and delivered", ErrCorrupt, seq)
	}
	if old&stateArrived != 0 {
		l.duplicates.Add(1)
		return false, nil
	}
	if old&stateAcked != 0 {
		l.settled.Add(1)
	}
	if old&stateAbandoned == 0 {
		l.release()
	}
	return true, nil
}

func (l *ledger) release() {
	if l.room != nil {
		<-l.room
	}
}

// missing is how many acknowledged messages have not arrived.
func (l *ledger) missing() int64 { return l.acked.Load() - l.settled.Load() }

// arrived is how many of those that were acknowledged have arrived, while that is waited for.
func (l *ledger) arrived(phase int32) (done, total int64) {
	if phase != phaseDrain {
		return 0, 0
	}
	return l.settled.Load(), l.acked.Load()
}

// await waits until no more than the messages that were given up are missing, for a while.
// It fails early when damaged does.
func (l *ledger) await(ctx context.Context, damaged func() error, timeout time.Duration, givenUp int64) error {
	for deadline := time.Now().Add(timeout); l.missing() > givenUp && damaged() == nil; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %d of %d had not arrived after %v", ErrLost, l.missing(), l.acked.Load(), timeout)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	return damaged()
}
