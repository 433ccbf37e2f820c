// Package logging makes the server's logger: lines for people on a terminal and JSON for
// everything else, with a level and a form that can be changed while it runs, and a bound on how often one
// line can be repeated.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"
)

// Formats of Options.Format.
const (
	FormatAuto = "auto" // coloured text on a terminal, else JSON
	FormatJSON = "json"
	FormatText = "text" // key=value, without colour
)

// Options are what a logger can be told. The zero value writes what FormatAuto writes, from info on.
type Options struct {
	Format string // [logging.format] "" is FormatAuto
	Level  slog.Level
	// NoColor, which Set does not change, keeps the lines for a terminal free of colour (no-color.org).
	NoColor bool
}

// New returns a logger that writes to w, and its control. Lines of level info and above are bounded as
// bounded says; those of debug are what was asked for.
func New(w io.Writer, o Options) (*slog.Logger, *Control) {
	c := new(Control)
	plain := &slog.HandlerOptions{Level: &c.level, ReplaceAttr: readable}
	h := &switched{form: &c.form}
	h.all[formJSON] = slog.NewJSONHandler(w, plain)
	h.all[formText] = slog.NewTextHandler(w, plain)
	h.all[formTerminal] = h.all[formJSON]
	if Terminal(w) {
		h.all[formTerminal] = tint.NewTextHandler(w, &tint.Options{Level: &c.level, ReplaceAttr: readable, TimeFormat: time.TimeOnly, NoColor: o.NoColor})
	}
	c.Set(o)
	return slog.New(newBounded(h, time.Now)), c
}

// Control changes a logger while it is used, and all that were derived from it.
type Control struct {
	level slog.LevelVar
	form  atomic.Int32
}

// Set applies level and format. It is safe for concurrent use.
func (c *Control) Set(o Options) {
	c.level.Set(o.Level)
	switch o.Format {
	case FormatJSON:
		c.form.Store(formJSON)
	case FormatText:
		c.form.Store(formText)
	default:
		c.form.Store(formTerminal)
	}
}

// The forms of a line. That of a terminal is JSON where there is none.
const (
	formTerminal = iota
	formJSON
	formText
	formsCount
)

// switched hands lines to one of its handlers.
type switched struct {
	form *atomic.Int32
	all  [formsCount]slog.Handler
}

func (s *switched) Enabled(ctx context.Context, l slog.Level) bool {
	return s.all[s.form.Load()].Enabled(ctx, l)
}

func (s *switched) Handle(ctx context.Context, r slog.Record) error {
	return s.all[s.form.Load()].Handle(ctx, r)
}

func (s *switched) WithAttrs(attrs []slog.Attr) slog.Handler {
	return s.each(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (s *switched) WithGroup(name string) slog.Handler {
	return s.each(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (s *switched) each(derive func(slog.Handler) slog.Handler) slog.Handler {
	d := &switched{form: s.form}
	for i, h := range s.all {
		d.all[i] = derive(h)
	}
	return d
}

// readable writes durations as people write them, and as the configuration takes them: 1.5s, where
// slog's JSON has 1500000000.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(round(a.Value.Duration()).String())
	}
	return a
}

// round keeps three digits or so.
func round(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d
}

// ParseLevel reads a logging.level.
func ParseLevel(s string) (slog.Level, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("want debug, info, warn or error")
}

// Terminal says whether w is one.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
