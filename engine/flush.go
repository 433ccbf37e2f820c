package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/wal"
)

// flushEvery and flushBytes bound how much log a start replays, unflushedMax how
// much the index's checkpoint may lag before publishes are refused (X2).
const (
	flushEvery   = 30 * time.Second
	flushBytes   = 256 << 20
	unflushedMax = 1 << 30
)

// flusher is what flushLoop knows.
type flusher struct {
	// checkpoint is the LSN of the index's durable checkpoint when it was last read,
	// at most a second ago: nothing above it may be reclaimed (W10). Before there is
	// one it is where the log began.
	checkpoint atomic.Uint64
	moved      time.Time // when it last did; zero at the start, so that a replay is not done twice
	looked     time.Time // when history was last looked through
	trimmed    bool      // since the last flush: it frees nothing before
}

// readCheckpoint asks the index how far it is durable.
func (e *Engine) readCheckpoint() error {
	p, err := e.idx.Checkpoint()
	if err != nil {
		return indexError(err)
	}
	if p.LSN > e.flusher.checkpoint.Load() {
		e.flusher.checkpoint.Store(p.LSN)
		e.flusher.moved = time.Now()
	}
	return nil
}

// unflushed returns how many bytes of log a start would replay.
func (e *Engine) unflushed() int64 {
	return e.logBytes(e.flusher.checkpoint.Load(), e.idx.Applied())
}

// logBytes returns the length of the log between two addresses, to within what
// segments leave unused at their ends.
func (e *Engine) logBytes(from, to uint64) int64 {
	f, t := wal.LSN(from), wal.LSN(to)
	return int64(t.Segment()-f.Segment())*e.opts.SegmentSize + t.Offset() - f.Offset()
}

// flushLoop makes the index durable when enough log was applied or time passed, and
// trims history.
func (e *Engine) flushLoop() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		}
		err := e.flushIfDue()
		if err == nil {
			err = e.trimHistory()
		}
		if err != nil && !errors.Is(err, ErrClosed) {
			e.fatal(err)
			return
		}
	}
}

func (e *Engine) flushIfDue() error {
	if err := e.readCheckpoint(); err != nil {
		return err
	}
	f, n := &e.flusher, e.unflushed()
	if n <= 0 && !f.trimmed {
		f.moved = time.Now()
		return nil
	}
	if n < flushBytes && time.Since(f.moved) < flushEvery {
		return nil
	}
	f.trimmed, f.moved = false, time.Now()
	if err := e.idx.Flush(); err != nil {
		return fmt.Errorf("flush the index: %w", err)
	}
	return e.readCheckpoint()
}

// History is looked through every trimEvery, or 16 times in a shorter
// retention.history, and trimmed when a 256th of that has gathered: each trim
// leaves a range tombstone until compactions have dropped what it covers.
const trimEvery = time.Minute

// trimHistory has the applier remove what retention.history and
// retention.history-size no longer allow (X6).
func (e *Engine) trimHistory() error {
	l := e.limits.Load()
	age := l.HistoryAge
	if time.Since(e.flusher.looked) < min(trimEvery, age/16) {
		return nil
	}
	e.flusher.looked = time.Now()
	cut := e.opts.Wall().Add(-age).UnixMilli()
	t, ok, err := e.idx.OldHistory(cut, (age / 256).Milliseconds(), l.HistorySize)
	if err != nil {
		return fmt.Errorf("look for old history: %w", indexError(err))
	}
	if ok {
		e.opts.Logger.Debug("engine: history trimmed", slog.Uint64("below", t.LSN()))
		e.flusher.trimmed = true
		e.applier.order(func(a *index.Applier) error { return a.Trim(t) })
	}
	return nil
}
