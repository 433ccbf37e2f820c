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
	first, rest := scrubFirst, scrubRest
	if e.opts.scrubRest != 0 {
		first, rest = e.opts.scrubRest, e.opts.scrubRest
	}
	for wait := first; e.scrubWait(wait) == nil; {
		wait = first
		if e.limits.Load().ScrubRate < 0 {
			continue
		}
		err := e.scrubPass()
		switch {
		case errors.Is(err, ErrClosed):
			return
		case errors.Is(err, errScrubOff):
			continue
		case err != nil:
			e.opts.Logger.Error("engine: the scrub could not read the log; it tries again later",
				slog.Any("error", err), slog.Duration("in", rest))
		}
		wait = rest
	}
}

// errScrubOff ends a pass: log.scrub-rate was set to 0.
var errScrubOff = errors.New("the scrub is off")

// scrubPass reads every full segment once.
func (e *Engine) scrubPass() error {
	o := e.inspect()
	o.Pause = func(n int) error {
		rate := e.limits.Load().ScrubRate
		if rate < 0 {
			return errScrubOff
		}
		return e.scrubWait(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
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
