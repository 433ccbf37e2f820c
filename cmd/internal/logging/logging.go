// Package logging makes the server's logger: lines for people on a terminal and JSON for
// everything else, with a level that can be changed while it runs and a bound on how often one
// line can be repeated.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
)

// Formats of Options.Format.
const (
	FormatAuto = "auto" // coloured text on a terminal, else JSON
	FormatJSON = "json"
	FormatText = "text" // key=value, without colour
)

// Options configure a logger. The zero value writes what FormatAuto writes, from info on.
type Options struct {
	Format string // [logging.format] "" is FormatAuto
	Level  slog.Level
	// NoColor keeps the lines for a terminal free of colour (no-color.org).
	NoColor bool
}

// New returns a logger that writes to w, and its level, which may be set at any time. Lines of
// level info and above are bounded as Bounded says; those of debug are what was asked for.
func New(w io.Writer, o Options) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(o.Level)
	return slog.New(newBounded(handler(w, o, level), time.Now)), level
}

func handler(w io.Writer, o Options, level slog.Leveler) slog.Handler {
	plain := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	switch {
	case o.Format == FormatText:
		return slog.NewTextHandler(w, plain)
	case o.Format == FormatJSON || !Terminal(w):
		return slog.NewJSONHandler(w, plain)
	}
	return tint.NewTextHandler(w, &tint.Options{Level: level, ReplaceAttr: readable, TimeFormat: time.TimeOnly, NoColor: o.NoColor})
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
