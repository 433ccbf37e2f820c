package dispatch

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, tc := range []struct{ url, key, authority, uri string }{
		{"http://example.com", "http://example.com:80", "example.com", "/"},
		{"HTTPS://Example.COM/", "https://example.com:443", "Example.COM", "/"},
		{"http://example.com:80/a", "http://example.com:80", "example.com:80", "/a"},
		{"https://example.com:8443?x=1", "https://example.com:8443", "example.com:8443", "/?x=1"},
		{"http://h.example/a?", "http://h.example:80", "h.example", "/a?"},
		{"http://h.example//a//./b/../c?x=%2F&y=a+b&&=%zz;;", "http://h.example:80", "h.example", "//a//./b/../c?x=%2F&y=a+b&&=%zz;;"},
		{"http://h.example/%00%0d%0a?http://x/@y", "http://h.example:80", "h.example", "/%00%0d%0a?http://x/@y"},
		{"http://example.com./x", "http://example.com:80", "example.com.", "/x"},
		{"http://a_b-c:81/", "http://a_b-c:81", "a_b-c:81", "/"},
		{"http://xn--bcher-kva.example/", "http://xn--bcher-kva.example:80", "xn--bcher-kva.example", "/"},
		{"http://192.0.2.1:9/", "http://192.0.2.1:9", "192.0.2.1:9", "/"},
		{"http://[::1]/", "http://[::1]:80", "[::1]", "/"},
		{"http://[2001:DB8:0::1]:8080/x", "http://[2001:db8::1]:8080", "[2001:DB8:0::1]:8080", "/x"},
		{"http://[::ffff:192.0.2.1]/", "http://192.0.2.1:80", "[::ffff:192.0.2.1]", "/"},
	} {
		tg, err := parseURL(tc.url)
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		if tg.key() != tc.key || tg.authority != tc.authority || tg.uri != tc.uri {
			t.Errorf("%s: got %q %q %q", tc.url, tg.key(), tg.authority, tg.uri)
		}
		if key, err := HostKey(tc.url); key != tc.key || err != nil {
			t.Errorf("HostKey(%s) = %q, %v", tc.url, key, err)
		}
	}
}

// TestBadURL walks RELIABILITY.md (d) "API level" and the odd spellings of (e).
func TestBadURL(t *testing.T) {
	dev := mustPolicy(t, PolicyOptions{AllowPrivate: true, AllowMetadata: true, Allow: []string{"0.0.0.0/0", "::/0"}})
	for want, urls := range map[string][]string{
		"endpoint has invalid scheme, add http:// or https://": {
			"", "example.com", "ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "http:/h", "http:h",
			"//h/", "://h", " http://h/", "https%3A%2F%2Fh%2F", "ht\ttp://h/",
		},
		"no host":                  {"http://", "http:///p", "https://?x", "http://:80", "http://:80/", "http://."},
		"user name":                {"http://user:pw@h/", "http://good@evil/", "http://@h/", "http://:@h", "http://h:80@evil"},
		"fragment":                 {"http://h/#x", "http://h#", "http://h/?a#b"},
		"invalid port":             {"http://h:0/", "http://h:65536/", "http://h:080/", "http://h:", "http://h:/", "http://h:+80/", "http://h:-1/", "http://h:8o/", "http://[::1]:/", "http://[::1]:0x50"},
		"backslash":                {`http://h\evil/`, `http://h/a\b`},
		"spaces or control":        {"http://h/a b", "http://h\t/", "http://h/\r\nX: y", "http://h/\n", "http://h/\x00", "http://h/\x7f", "http:// h/"},
		"ASCII":                    {"http://h/ü", "http://bücher.example/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://h/\xff"},
		"without brackets":         {"http://::1/", "http://fe80::1/", "http://1:2:3/"},
		"zone":                     {"http://[fe80::1%25lo]/", "http://[fe80::1%lo]/"},
		"invalid IPv6":             {"http://[127.0.0.1]/", "http://[::g]/", "http://[]/", "http://[h]/"},
		"unclosed":                 {"http://[::1/"},
		"invalid host":             {"http://[::1]x/"},
		"invalid character":        {"http://h%41/", "http://a,b/", "http://h*/", "http://(h)/", "http://$h/", "http://h;x/"},
		"empty label":              {"http://a..b/", "http://.a/", "http://a../"},
		"longer than 63":           {"http://" + strings.Repeat("a", 64) + ".example/"},
		"longer than 253":          {"http://" + strings.Repeat("a.", 127) + "aa/"},
		"longer than 8192":         {"http://h.example/" + strings.Repeat("a", MaxURLBytes)},
		"name nor a plain IPv4 ad": {"http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://0177.0.0.1/", "http://127.0.0.01/", "http://0/", "http://127.0.0.1./", "http://0x7f.1/", "http://1.2.3.4.5/", "http://256.1.1.1/", "http://example.0x1/", "http://a.1/"},
	} {
		for _, u := range urls {
			if err := dev.CheckURL(u); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("CheckURL(%q) = %v, want %q", u, err, want)
			}
			if key, err := HostKey(u); err == nil {
				t.Errorf("HostKey(%q) = %q, want an error", u, key)
			}
		}
	}
}

// FuzzParseURL: what passes has one host, one port, and gives back its own bytes.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"http://a.b/c?d", "https://[::1]:8/", "http://1.2.3.4:5?x", "http://a@b", "http://[::ffff:1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tg, err := parseURL(s)
		if err != nil {
			return
		}
		_, rest, _ := strings.Cut(s, "://")
		if got := tg.authority + tg.uri; got != rest && got != tg.authority+"/"+strings.TrimPrefix(rest, tg.authority) {
			t.Fatalf("%q came apart as %q + %q", s, tg.authority, tg.uri)
		}
		again, err := parseURL(tg.key())
		if err != nil || again.key() != tg.key() || again.port != tg.port || again.tls != tg.tls {
			t.Fatalf("%q: key %q is not stable: %v", s, tg.key(), err)
		}
		if strings.ContainsAny(tg.authority, " \r\n\t\x00#\\@") {
			t.Fatalf("%q: forbidden byte in authority %q", s, tg.authority)
		}
		if strings.ContainsAny(tg.uri, " \r\n\t\x00#\\") {
			t.Fatalf("%q: forbidden byte in target %q", s, tg.uri)
		}
	})
}
