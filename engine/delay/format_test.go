package delay

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFormat(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 365 * 24 * time.Hour: "365d", 2 * time.Hour: "2h", 90 * time.Minute: "1h30m",
		90 * time.Second: "1m30s", 250 * time.Millisecond: "250ms", 36 * time.Hour: "36h", 10 * time.Second: "10s", 15 * time.Minute: "15m",
		2*time.Hour + time.Second: "2h0m1s", 24 * time.Hour: "1d",
	} {
		if got := Format(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestFormatIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "ms")) * time.Millisecond
		if got, err := ParseDuration(Format(d)); err != nil || got != d {
			t.Fatalf("%v: %q is read back as %v, %v", d, Format(d), got, err)
		}
	})
}
