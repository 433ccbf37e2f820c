package engine

import (
	"context"
	"log/slog"

	"github.com/tidemill/tidemill/dispatch"
)

// logAttempt writes a line of an attempt at level debug: what is needed to follow one message, and
// nothing of its content. Of the URL there is the host alone, since paths and queries hold secrets (P45).
func (a *attempter) logAttempt(cmd *startCommand, r *attemptResult) {
	log := a.e.opts.Logger
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	host, _ := dispatch.HostKey(a.attempt.URL) // "" if it is none
	attrs := []slog.Attr{
		slog.String("message", MessageID(cmd.row.Seq, cmd.row.Nonce)), slog.String("host", host),
		slog.Int("attempt", cmd.attempt), slog.Int("status", int(r.outcome.Status)), slog.Duration("took", a.result.Timing.Total),
	}
	if id := traceID(a.attempt.Header); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	if r.outcome.Error != "" {
		attrs = append(attrs, slog.String("error", r.outcome.Error))
	}
	log.LogAttrs(context.Background(), slog.LevelDebug, "engine: attempt", attrs...)
}
