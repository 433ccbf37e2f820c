package config

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		back string
	}{
		{"0", 0, "0"},
		{"1", 1, "1B"},
		{"17B", 17, "17B"},
		{"1024", 1024, "1KiB"},
		{"512KiB", 512 << 10, "512KiB"},
		{"64MiB", 64 << 20, "64MiB"},
		{"64 MiB", 64 << 20, "64MiB"},
		{"1025KiB", 1025 << 10, "1025KiB"},
		{"3GiB", 3 << 30, "3GiB"},
		{"8589934591GiB", 8589934591 << 30, "8589934591GiB"},
	} {
		got, err := ParseSize(c.in)
		if err != nil || got != c.want || FormatSize(got) != c.back {
			t.Errorf("parseSize(%q) = %d (%s), %v; want %d (%s)", c.in, got, FormatSize(got), err, c.want, c.back)
		}
	}
	for _, in := range []string{"", "B", "MiB", "-1", "+1", "1.5MiB", "64MB", "64mib", "1 2", "8589934592GiB", "9223372036854775808", "0x10"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", in, got)
		}
	}
}

// TestSettingValuesRoundTrip: a setting accepts its own default, and keeps its
// value when it refuses another.
func TestSettingValuesRoundTrip(t *testing.T) {
	for _, c := range []*Config{Default(), DevDefault()} {
		for _, s := range c.Settings() {
			before := s.Value.String()
			if _, list := s.Value.(*ListValue); list {
				continue // a list grows
			}
			if err := s.Value.Set(before); err != nil || s.Value.String() != before {
				t.Errorf("%s: default %q reads as %q, %v", s.Name, before, s.Value, err)
			}
			switch s.Value.(type) {
			case *TextValue, *Secret:
				continue // take any text
			}
			if err := s.Value.Set("?"); err == nil || s.Value.String() != before {
				t.Errorf("%s accepts ?, or lost its value: %q, %v", s.Name, s.Value, err)
			}
		}
	}
}

func TestFsync(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"always": 0, "interval=50ms": 50 * time.Millisecond, "interval=1s": time.Second,
	} {
		var v FsyncValue
		if err := v.Set(in); err != nil || time.Duration(v) != want || v.String() != in {
			t.Errorf("%q: %v (%s), %v", in, time.Duration(v), v.String(), err)
		}
	}
	for _, in := range []string{"", "never", "interval", "interval=", "interval=0s", "50ms", "Always"} {
		var v FsyncValue
		if err := v.Set(in); err == nil {
			t.Errorf("%q is accepted as %v", in, time.Duration(v))
		}
	}
}

func TestMinFree(t *testing.T) {
	for in, want := range map[string]MinFreeValue{"auto": 0, "0": -1, "512MiB": 512 << 20} {
		var v MinFreeValue
		if err := v.Set(in); err != nil || v != want || v.String() != in {
			t.Errorf("%q: %d (%s), %v", in, int64(v), v.String(), err)
		}
	}
	for _, in := range []string{"", "-1", "10%", "Auto"} {
		var v MinFreeValue
		if err := v.Set(in); err == nil {
			t.Errorf("%q is accepted as %s", in, &v)
		}
	}
}

func TestList(t *testing.T) {
	var v ListValue
	var _ pflag.Value = &v
	for _, s := range []string{"10.0.0.0/8", "a.example:443, *.b.example", ""} {
		if err := v.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.String(); got != "10.0.0.0/8,a.example:443,*.b.example" {
		t.Errorf("list is %q", got)
	}
}
