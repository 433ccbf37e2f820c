package httpapi

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTextOfAnyBytes compares what looks at eight bytes at a time with what looks at one.
func TestTextOfAnyBytes(t *testing.T) {
	odd := rapid.SampledFrom([]byte{0, '\t', '\n', '\r', 0x1f, ' ', '!', '#', ':', '~', 0x7e, 0x7f, 0x80, 0xff})
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes")
		for range rapid.IntRange(0, 3).Draw(t, "odd ones") {
			if len(b) > 0 {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = odd.Draw(t, "odd")
			}
		}
		value, visible := 0, 0
		for value < len(b) && (b[value] == '\t' || b[value] >= ' ' && b[value] != 0x7f) {
			value++
		}
		for visible < len(b) && '!' <= b[visible] && b[visible] <= '~' {
			visible++
		}
		if got := valueLen(b); got != value {
			t.Errorf("%q: a value of %d bytes, want %d", b, got, value)
		}
		if isFieldValue(b) != (value == len(b)) || isVisible(b) != (visible == len(b)) {
			t.Errorf("%q: value %t, visible %t", b, isFieldValue(b), isVisible(b))
		}
	})
}

// TestTextOfPrintables is the same where few bytes are refused.
func TestTextOfPrintables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(rapid.StringMatching(`[ -~]{0,40}`).Draw(t, "text"))
		at := rapid.IntRange(0, len(b)).Draw(t, "at")
		c := rapid.SampledFrom([]byte{'a', '\t', '\r', 0x7f, 0x80}).Draw(t, "byte")
		if at < len(b) {
			b[at] = c
		}
		want := len(b)
		if at < len(b) && (c == '\r' || c == 0x7f) {
			want = at
		}
		if got := valueLen(b); got != want {
			t.Errorf("%q: a value of %d bytes, want %d", b, got, want)
		}
	})
}
