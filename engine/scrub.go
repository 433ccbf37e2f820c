package engine

import (
	"errors"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/wal"
)

// The scrub begins a minute after the start, when what matters is in order again,
// and rests an hour between two passes: a small log is not read all day long.
const (
	scrubFirst = time.Minute
	scrubRest  = time.Hour
)

// scrubLoop reads the full segments of the log over and over, slowly, so that
// damage is found while there are backups from before it (W7). It changes nothing:
// what it finds is logged and goes into Health.
func (e *Engine) scrubLoop() {
	if e.opts.ScrubRate < 0 {
		return
	}
	first, rest := scrubFirst, scrubRest
	if e.opts.scrubRest != 0 {
		first, rest = e.opts.scrubRest, e.opts.scrubRest
	}
	for e.scrubWait(first) == nil {
		err := e.scrubPass()
		if errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			e.opts.Logger.Error("engine: the scrub could not read the log; it tries again later",
				slog.Any("error", err), slog.Duration("in", rest))
		}
		first = rest
	}
}

// scrubPass reads every full segment once.
func (e *Engine) scrubPass() error {
	o := e.inspect()
	o.Pause = func(n int) error {
		return e.scrubWait(time.Duration(float64(n) / float64(e.opts.ScrubRate) * float64(time.Second)))
	}
	for from := wal.LSN(0); ; {
		next, err := wal.Scrub(o, from, e.noteDamage)
		if err != nil || next == 0 {
			return err
		}
		from = next
	}
}

// scrubWait waits, or fails with ErrClosed when the engine stops.
func (e *Engine) scrubWait(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-e.stop:
		return ErrClosed
	}
}
