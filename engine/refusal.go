package engine

import (
	"log/slog"
	"time"
)

// refusalWatch has one line of the time in which publishes are refused for lack of speed
// (admission.go), and one of its end: refusing is per publish, lines are not.
type refusalWatch struct {
	late, lag watchedCount
}

// watchedCount is a counter that is looked at now and then.
type watchedCount struct {
	seen    uint64
	began   uint64    // seen, when it began to grow
	grew    time.Time // when it was last seen to have
	growing bool
}

// refusalQuiet is how long none is refused until it counts as over.
const refusalQuiet = 10 * time.Second

// look takes the count as it is now. It says whether it has begun to grow, or ended, and how much it
// grew in between.
func (w *watchedCount) look(n uint64, now time.Time) (began, ended bool, grown uint64) {
	was := w.seen
	w.seen = n
	switch {
	case n != was:
		w.grew = now
		if began = !w.growing; began {
			w.growing, w.began = true, was
		}
	case w.growing && now.Sub(w.grew) >= refusalQuiet:
		w.growing, ended = false, true
	}
	return began, ended, n - w.began
}

// watchRefusals is called every second or so.
func (e *Engine) watchRefusals(w *refusalWatch, now time.Time) {
	e.watchRefusal(&w.late, e.admission.lates.Load(), now, "deliveries are late for want of processor")
	e.watchRefusal(&w.lag, e.admission.lagged(), now, "the index is behind the log")
}

func (e *Engine) watchRefusal(w *watchedCount, n uint64, now time.Time, why string) {
	began, ended, grown := w.look(n, now)
	switch {
	case began:
		e.opts.Logger.Warn("engine: publishes are refused: "+why, slog.Uint64("refused", grown))
	case ended:
		e.opts.Logger.Info("engine: publishes are accepted again: they were refused since "+why, slog.Uint64("refused", grown))
	}
}
