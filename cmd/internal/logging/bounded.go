package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A line that tells of something that happens again and again says so at most burst times in a
// window; how often it was left out stands in the next one that is written, as the attribute
// "suppressed". So neither a probe of a server that is not ready, nor a disk on which every message
// is damaged, fills the disk with lines, and the first lines of another kind are never lost to them.
const (
	burst  = 10
	window = time.Minute

	// kindsMax bounds what is remembered. Messages are constants of the program but for a few of
	// the index, so it is reached by those alone; then all are forgotten, and may be told anew.
	kindsMax = 512
)

// bounded is a handler that leaves out what repeats itself. Lines are of one kind if level and message
// are the same.
type bounded struct {
	next  slog.Handler
	kinds *kinds
}

type kinds struct {
	now func() time.Time

	mu   sync.Mutex
	seen map[kind]*kindSeen
}

type kind struct {
	level slog.Level
	text  string
}

type kindSeen struct {
	began      time.Time // of the window
	told       int       // in it
	suppressed int       // since the last line
}

func newBounded(next slog.Handler, now func() time.Time) *bounded {
	return &bounded{next, &kinds{now: now, seen: map[kind]*kindSeen{}}}
}

func (b *bounded) Enabled(ctx context.Context, l slog.Level) bool { return b.next.Enabled(ctx, l) }

func (b *bounded) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		ok, suppressed := b.kinds.allow(kind{r.Level, r.Message})
		if !ok {
			return nil
		}
		if suppressed > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("suppressed", suppressed))
		}
	}
	return b.next.Handle(ctx, r)
}

// allow says whether a line is written, and how many of its kind were not since the last one.
func (s *kinds) allow(k kind) (ok bool, suppressed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	e := s.seen[k]
	if e == nil {
		if len(s.seen) >= kindsMax {
			clear(s.seen)
		}
		e = &kindSeen{began: now}
		s.seen[k] = e
	}
	if since := now.Sub(e.began); since >= window || since < 0 {
		e.began, e.told = now, 0
	}
	if e.told == burst {
		e.suppressed++
		return false, 0
	}
	e.told++
	suppressed, e.suppressed = e.suppressed, 0
	return true, suppressed
}

func (b *bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &bounded{b.next.WithAttrs(attrs), b.kinds}
}

func (b *bounded) WithGroup(name string) slog.Handler {
	return &bounded{b.next.WithGroup(name), b.kinds}
}
