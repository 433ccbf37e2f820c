package dispatch

import "testing"

func TestHostSet(t *testing.T) {
	set, err := ParseHostSet([]string{"a.example", "*.b.example", "c.example:8443", "192.0.2.0/24", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]bool{
		"http://a.example/":            true,
		"https://A.Example.:444/x?y=z": true,
		"http://x.a.example/":          false,
		"http://x.b.example/":          true,
		"http://x.y.B.example/":        true,
		"http://b.example/":            false,
		"http://xb.example/":           false,
		"https://c.example:8443/":      true,
		"https://c.example/":           false,
		"http://192.0.2.7/":            true,
		"http://[::ffff:192.0.2.7]/":   true,
		"http://192.0.3.7/":            false,
		"http://[2001:db8::1]:80/":     true,
		"http://[2001:db8::2]/":        false,
		"http://a.example@evil.test/":  false,
		"http://evil.test/a.example":   false,
		"http://evil.test#a.example":   false,
		"http://a.example.evil.test/":  false,
		"ftp://a.example/":             false,
		"a.example":                    false,
		"":                             false,
	} {
		if got := set.Contains(url); got != want {
			t.Errorf("%q: %v", url, got)
		}
	}
	for _, bad := range []string{"", "*", "http://a.example", "a.example/x", "a b", "a.example:0", "192.0.2.1/8"} {
		if _, err := ParseHostSet([]string{"good.example", bad}); err == nil {
			t.Errorf("%q was taken for a host", bad)
		}
	}
}
