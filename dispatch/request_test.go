package dispatch

import (
	"strings"
	"testing"
)

// TestFieldValue: every byte at every place of values of every length up to three words is
// judged by itself, whatever stands beside it.
func TestFieldValue(t *testing.T) {
	for _, fill := range []string{"a", "\xff", "\x7e", "!", "\t"} {
		for n := 1; n <= 24; n++ {
			for at := range n {
				for c := range 256 {
					rest := strings.Repeat(fill, n)
					s := rest[:at] + string([]byte{byte(c)}) + rest[at+1:]
					if got, want := isFieldValue(s), plainFieldValue(s); got != want {
						t.Fatalf("%q: %v, want %v", s, got, want)
					}
				}
			}
		}
	}
}

// plainFieldValue is what isFieldValue says, byte by byte.
func plainFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return s == strings.Trim(s, " \t")
}

// BenchmarkCheckRequest is paid once per attempt.
func BenchmarkCheckRequest(b *testing.B) {
	a := &Attempt{Method: "POST", URL: "http://h.example/", Header: benchHeader}
	b.ReportAllocs()
	for b.Loop() {
		if err := checkRequest(a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTarget is too: a URL of an origin that is known, and one taken apart anew.
func BenchmarkTarget(b *testing.B) {
	const u = "https://api.example.com/v1/hooks/orders?source=tidemill"
	var known origins
	for _, by := range []struct {
		name  string
		parse func(string) (target, error)
	}{{"origin", known.parse}, {"parse", parseURL}} {
		b.Run("by="+by.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := by.parse(u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
