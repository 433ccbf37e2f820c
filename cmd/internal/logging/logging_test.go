package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestFormats: what is no terminal gets JSON unless text is asked for; durations are readable in both.
func TestFormats(t *testing.T) {
	for format, want := range map[string]string{
		"":         `"level":"WARN","msg":"slow disk","took":"1.53s"}`,
		FormatAuto: `"level":"WARN","msg":"slow disk","took":"1.53s"}`,
		FormatJSON: `"level":"WARN","msg":"slow disk","took":"1.53s"}`,
		FormatText: `level=WARN msg="slow disk" took=1.53s`,
	} {
		var out bytes.Buffer
		log, _ := New(&out, Options{Format: format})
		log.Warn("slow disk", "took", 1534*time.Millisecond)
		if got := strings.TrimSpace(out.String()); !strings.HasSuffix(got, want) || !strings.Contains(got, "time") {
			t.Errorf("format %q wrote %s", format, got)
		}
	}
}

// TestLevelChanges: a logger that was made at info writes debug lines once it is told to, and one that
// was derived from it does, too.
func TestLevelChanges(t *testing.T) {
	var out bytes.Buffer
	log, control := New(&out, Options{})
	derived := log.With("a", 1).WithGroup("g")
	for _, l := range []slog.Level{slog.LevelInfo, slog.LevelDebug, slog.LevelError} {
		out.Reset()
		control.Set(Options{Level: l})
		log.Debug("debug")
		derived.Warn("warn")
		want := map[slog.Level]int{slog.LevelInfo: 1, slog.LevelDebug: 2, slog.LevelError: 0}[l]
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("at %s %d lines, want %d: %s", l, got, want, &out)
		}
	}
}

// TestFormatChanges: so it is with the form of lines.
func TestFormatChanges(t *testing.T) {
	var out bytes.Buffer
	log, control := New(&out, Options{})
	log = log.With("a", 1)
	log.Info("x")
	control.Set(Options{Format: FormatText})
	log.Info("x")
	lines := strings.Split(out.String(), "\n")
	if !strings.HasSuffix(lines[0], `"msg":"x","a":1}`) || !strings.HasSuffix(lines[1], " msg=x a=1") {
		t.Errorf("wrote %q", lines)
	}
}

func TestParseLevel(t *testing.T) {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if got, err := ParseLevel(strings.ToLower(l.String())); err != nil || got != l {
			t.Errorf("%s is read as %v, %v", l, got, err)
		}
	}
	for _, s := range []string{"", "INFO", "trace", "info+2"} {
		if _, err := ParseLevel(s); err == nil {
			t.Errorf("%q is taken for a level", s)
		}
	}
}

// TestBound: of a line that repeats itself only so many are written in a window, the next one says how
// many were not, other lines are not affected, and debug lines never.
func TestBound(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1e9, 0)
	log := slog.New(newBounded(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}), func() time.Time { return now }))
	lines := func() (all []map[string]any) {
		for line := range strings.Lines(out.String()) {
			m := map[string]any{}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		out.Reset()
		return all
	}
	for range 1000 {
		log.With("derived", true).Error("again")
	}
	if got := lines(); len(got) != burst {
		t.Fatalf("%d lines of 1000, want %d", len(got), burst)
	}
	log.Error("another")
	log.Warn("again")
	for range 2 * burst {
		log.Debug("again")
	}
	if got := lines(); len(got) != 2+2*burst {
		t.Fatalf("%d lines of other kinds, want %d", len(got), 2+2*burst)
	}
	now = now.Add(window)
	log.Error("again")
	log.Error("again")
	got := lines()
	if len(got) != 2 || got[0]["suppressed"] != float64(1000-burst) || got[1]["suppressed"] != nil {
		t.Fatalf("after a window: %v", got)
	}
	now = now.Add(-time.Hour) // the clock is set back: better a line too many than none for an hour
	log.Error("again")
	if got := lines(); len(got) != 1 {
		t.Fatalf("after a step back of the clock: %v", got)
	}
	for i := range 10 * kindsMax {
		log.Info(fmt.Sprint("kind ", i))
	}
	if n := len(log.Handler().(*bounded).kinds.seen); n > kindsMax {
		t.Fatalf("%d kinds are remembered", n)
	}
}
