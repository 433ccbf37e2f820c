package dispatch

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// specialRows is RELIABILITY.md (e), row by row: kind and addresses.
var specialRows = []struct {
	kind  addrKind
	addrs string
}{
	{unspecified, "0.0.0.0 0.255.255.255 ::"},
	{loopback, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 ::ffff:7f00:1"},
	{disguise, "::127.0.0.1 ::7f00:1 ::ffff:0:127.0.0.1 ::8.8.8.8"},
	{disguise, "64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::7f00:1 64:ff9b:1:ffff::1"},
	{disguise, "2002:7f00:1:: 2002:a00:1::1 2001::1 2001:0:7f00:1::"},
	{private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.1 fc00::1 fdff:ffff::1 fec0::1 ::ffff:10.0.0.1"},
	{special, "100.64.0.0 100.127.255.255"},
	{linkLocal, "169.254.0.1 169.254.255.255 fe80::1 febf::1"},
	{metadata, "169.254.169.254 169.254.170.2 fd00:ec2::254 100.100.100.200 168.63.129.16 192.0.0.192 ::ffff:169.254.169.254"},
	{special, "192.0.0.1 192.0.2.1 198.51.100.1 203.0.113.255 198.18.0.1 198.19.255.255 192.88.99.1"},
	{special, "2001:db8::1 3fff:fff::1 2001:2::1 100::1 5f00::1 2001:1ff:ffff::1 4000::1 1::1"},
	{multicast, "224.0.0.1 239.255.255.255 ff02::1 240.0.0.1 255.255.255.255"},
	{public, "8.8.8.8 1.0.0.0 9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.0 100.63.255.255 100.128.0.0"},
	{public, "168.63.129.15 192.167.255.255 223.255.255.255 2606:4700::1111 2001:200::1 2003::1 ::ffff:8.8.8.8"},
}

func eachSpecial(f func(kind addrKind, s string, a netip.Addr)) {
	for _, row := range specialRows {
		for _, s := range strings.Fields(row.addrs) {
			f(row.kind, s, netip.MustParseAddr(s))
		}
	}
}

func literalURL(s string) string {
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	return "http://" + s + "/"
}

// TestSpecialAddresses judges every row with the rules of serve, both ways in.
func TestSpecialAddresses(t *testing.T) {
	p := mustPolicy(t, PolicyOptions{})
	eachSpecial(func(kind addrKind, s string, a netip.Addr) {
		if got := kindOf(a.Unmap()); got != kind {
			t.Errorf("%s is %v, want %v", s, got, kind)
		}
		atPublish := p.CheckURL(literalURL(s))
		atDial := p.checkAddr("h.example", netip.AddrPortFrom(a, 80))
		for _, err := range []error{atPublish, atDial} {
			var refused *RefusedError
			if (err == nil) != (kind == public) || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s (%v): %v", s, kind, err)
			}
			if err != nil && (refused.Addr != a.Unmap().String() || !strings.Contains(err.Error(), kind.String())) {
				t.Errorf("%s: unclear refusal %+v", s, refused)
			}
		}
	})
	// The zone is taken off, not a way around.
	if p.checkAddr("h", netip.MustParseAddrPort("[fe80::1%lo]:80")) == nil {
		t.Error("a zone got a link-local address through")
	}
}

// TestDevPolicy: loopback and private pass, nothing else does.
func TestDevPolicy(t *testing.T) {
	p := mustPolicy(t, PolicyOptions{AllowPrivate: true})
	eachSpecial(func(kind addrKind, s string, _ netip.Addr) {
		want := kind == public || kind == loopback || kind == private
		if err := p.CheckURL(literalURL(s)); (err == nil) != want {
			t.Errorf("%s (%v): %v", s, kind, err)
		}
	})
	for _, u := range []string{"http://localhost:3000/", "http://x.localhost/", "http://web/", "http://host.docker.internal/", "http://127.0.0.1:6379/"} {
		if err := p.CheckURL(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://metadata/", "http://metadata.google.internal/", "http://instance-data/"} {
		if p.CheckURL(u) == nil {
			t.Errorf("%s passed", u)
		}
	}
}

// TestAllowEverything: no rule lets metadata or disguised addresses through.
func TestAllowEverything(t *testing.T) {
	for _, meta := range []bool{false, true} {
		p := mustPolicy(t, PolicyOptions{Allow: []string{"0.0.0.0/0", "::/0", "*.example"}, AllowPrivate: true, AllowMetadata: meta})
		eachSpecial(func(kind addrKind, s string, a netip.Addr) {
			want := kind != disguise && (kind != metadata || meta)
			if err := p.CheckURL(literalURL(s)); (err == nil) != want {
				t.Errorf("metadata=%v: %s (%v): %v", meta, s, kind, err)
			}
			if err := p.checkAddr("h.example", netip.AddrPortFrom(a, 80)); (err == nil) != want {
				t.Errorf("metadata=%v: %s (%v) at dial: %v", meta, s, kind, err)
			}
		})
	}
	p := mustPolicy(t, PolicyOptions{AllowMetadata: true})
	for _, u := range []string{"http://metadata.google.internal/", "http://169.254.169.254/latest", "http://[fd00:ec2::254]/"} {
		if err := p.CheckURL(u); err != nil {
			t.Errorf("%s with AllowMetadata: %v", u, err)
		}
	}
	if p.CheckURL("http://169.254.169.1/") == nil {
		t.Error("AllowMetadata opened the link-local range")
	}
}

func TestServeTexts(t *testing.T) {
	p := mustPolicy(t, PolicyOptions{Deny: []string{"evil.example", "8.8.4.4"}})
	for _, tc := range []struct{ url, want string }{
		{"ftp://h", "endpoint has invalid scheme, add http:// or https://"},
		{"http://127.0.0.1:3000/x", "endpoint resolves to a loopback address: 127.0.0.1 (to allow it, start the server with --destinations.allow 127.0.0.1)"},
		{"http://[::1]/", "endpoint resolves to a loopback address: ::1 (to allow it, start the server with --destinations.allow ::1)"},
		{"http://LOCALHOST./", "endpoint resolves to a loopback address: localhost (to allow it, start the server with --destinations.allow localhost)"},
		{"http://a.localhost/", "endpoint resolves to a loopback address: a.localhost (to allow it, start the server with --destinations.allow a.localhost)"},
		{"http://10.1.2.3/", "endpoint resolves to a private address: 10.1.2.3 (to allow it, start the server with --destinations.allow 10.1.2.3)"},
		{"http://web/", "endpoint resolves to a private address: web (to allow it, start the server with --destinations.allow web)"},
		{"http://api.internal/", "endpoint resolves to a private address: api.internal (to allow it, start the server with --destinations.allow api.internal)"},
		{"http://printer.local/", "endpoint resolves to a private address: printer.local (to allow it, start the server with --destinations.allow printer.local)"},
		{"http://169.254.169.254/", "endpoint resolves to a metadata address: 169.254.169.254 (to allow it, start the server with --destinations.allow-metadata)"},
		{"http://Metadata.Google.Internal./", "endpoint is a metadata host: metadata.google.internal (to allow it, start the server with --destinations.allow-metadata)"},
		{"http://0.0.0.0/", "endpoint resolves to an unspecified address: 0.0.0.0 (to allow it, start the server with --destinations.allow 0.0.0.0)"},
		{"http://169.254.1.1/", "endpoint resolves to a link-local address: 169.254.1.1 (to allow it, start the server with --destinations.allow 169.254.1.1)"},
		{"http://evil.example/", "endpoint host evil.example is denied by --destinations.deny"},
		{"http://8.8.4.4/", "endpoint address 8.8.4.4 is denied by --destinations.deny"},
		{"http://h.example:25/", "endpoint uses port 25, which belongs to SMTP (to allow it, start the server with --destinations.allow h.example:25)"},
		{"http://[2606:4700::1]:22/", "endpoint uses port 22, which belongs to SSH (to allow it, start the server with --destinations.allow [2606:4700::1]:22)"},
		{"http://example.com/", ""},
	} {
		err := p.CheckURL(tc.url)
		if got := errText(err); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.url, got, tc.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestAdviceWorks: following the advice in a refusal lets the destination pass.
func TestAdviceWorks(t *testing.T) {
	serve := mustPolicy(t, PolicyOptions{})
	for _, u := range []string{
		"http://127.0.0.1:3000/", "http://[::1]/", "http://localhost/", "http://10.0.0.1/", "http://[fd12::1]:8/", "http://web/",
		"http://a.internal/", "http://100.64.0.1/", "http://h.example:25/", "http://8.8.8.8:22/", "http://[2606:4700::1]:6379/",
	} {
		err := serve.CheckURL(u)
		_, advice, found := strings.Cut(errText(err), "--destinations.allow ")
		if !found {
			t.Errorf("%s: no advice in %v", u, err)
			continue
		}
		p := mustPolicy(t, PolicyOptions{Allow: []string{strings.TrimSuffix(advice, ")")}})
		if err := p.CheckURL(u); err != nil {
			t.Errorf("%s: still refused after following the advice: %v", u, err)
		}
	}
}

func TestOtherPorts(t *testing.T) {
	serve, dev := mustPolicy(t, PolicyOptions{}), mustPolicy(t, PolicyOptions{AllowPrivate: true})
	for _, port := range []string{"22", "23", "25", "53", "110", "135", "139", "143", "445", "465", "587", "3306", "5432", "6379", "9200", "11211", "27017"} {
		for _, host := range []string{"example.com", "8.8.8.8", "[2606:4700::1]"} {
			u := "https://" + host + ":" + port + "/"
			if serve.CheckURL(u) == nil {
				t.Errorf("%s passed", u)
			}
			if err := dev.CheckURL(u); err != nil {
				t.Errorf("dev: %v", err)
			}
		}
	}
}

// TestPrecedence: the more specific rule wins within its kind, deny at equal
// length; deny of either kind wins over allow of the other.
func TestPrecedence(t *testing.T) {
	p := mustPolicy(t, PolicyOptions{
		Allow: []string{
			"10.0.0.0/8", "10.1.2.0/24", "192.168.0.0/16:8080", "172.16.0.1", "172.16.0.2:22",
			"*.corp.example", "db.secret.corp.example", "api.internal:8080", "fd00::/16", "[fd01::/16]:9000", "::ffff:172.16.9.0/120",
		},
		Deny: []string{"10.1.0.0/16", "10.1.2.0/24:9999", "172.16.0.1/32", "8.0.0.0/8", "*.secret.corp.example", "api.internal:9090", "fd00:1::/32"},
	})
	for _, tc := range []struct {
		host, addr string
		port       uint16
		want       bool
	}{
		{"10.0.0.1", "10.0.0.1", 80, true},
		{"10.1.0.1", "10.1.0.1", 80, false},   // a longer deny
		{"10.1.2.3", "10.1.2.3", 80, true},    // a longer allow still
		{"10.1.2.3", "10.1.2.3", 9999, false}, // equal length, but a port is more specific
		{"10.1.2.3", "::ffff:10.1.2.3", 80, true},
		{"172.16.0.1", "172.16.0.1", 80, false}, // equal: deny
		{"172.16.0.2", "172.16.0.2", 22, true},
		{"172.16.0.2", "172.16.0.2", 80, false}, // allowed on its port only
		{"172.16.9.9", "172.16.9.9", 80, true},  // a mapped range means IPv4
		{"192.168.1.1", "192.168.1.1", 8080, true},
		{"192.168.1.1", "192.168.1.1", 80, false},
		{"h.example", "8.1.1.1", 80, false},
		{"a.corp.example", "192.168.5.5", 80, true},         // by name
		{"a.corp.example", "10.1.0.1", 80, false},           // the address is denied
		{"corp.example", "192.168.5.5", 80, false},          // a suffix does not match itself
		{"xcorp.example", "192.168.5.5", 80, false},         // nor half a label
		{"a.secret.corp.example", "1.1.1.1", 80, false},     // a longer deny
		{"db.secret.corp.example", "192.168.5.5", 80, true}, // an exact name
		{"DB.Secret.Corp.Example", "192.168.5.5", 80, true},
		{"a.corp.example", "127.0.0.1", 80, true},
		{"a.corp.example", "169.254.169.254", 80, false},
		{"a.corp.example", "1.1.1.1", 22, false}, // a port of its own kind needs naming
		{"api.internal", "10.0.0.9", 9090, false},
		{"fd00:2::1", "fd00:2::1", 80, true},
		{"fd00:1::1", "fd00:1::1", 80, false},
		{"fd01::1", "fd01::1", 9000, true},
		{"fd01::1", "fd01::1", 80, false},
	} {
		err := p.checkAddr(tc.host, netip.AddrPortFrom(netip.MustParseAddr(tc.addr), tc.port))
		if (err == nil) != tc.want {
			t.Errorf("%s at %s, port %d: %v", tc.host, tc.addr, tc.port, err)
		}
	}
	for u, want := range map[string]bool{
		"http://api.internal:8080/": true, "http://api.internal/": false, "http://api.internal:9090/": false,
		"http://x.secret.corp.example/": false, "http://db.secret.corp.example./": true, "http://other.internal:8080/": false,
	} {
		if err := p.CheckURL(u); (err == nil) != want {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestBadRules(t *testing.T) {
	for _, s := range []string{
		"", "*", "*.", ":80", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "127.1", "0x7f.1", "h:0", "h:65536", "h:x", "[::1", "[::1]x", "[::1]:",
		"fe80::1%lo", "a b", "http://h/", "a..b", "*.a.*", "user@h", "::ffff:0:0/90", "::1/129", "1.2.3.4:080",
	} {
		_, err := NewPolicy(PolicyOptions{Allow: []string{"ok.example"}, Deny: []string{s}})
		if err == nil || !strings.Contains(err.Error(), "destinations.deny") {
			t.Errorf("rule %q: %v", s, err)
		}
	}
	_, err := NewPolicy(PolicyOptions{Allow: []string{"10.0.0.1/8", "good.example", "h:x"}})
	if n := strings.Count(errText(err), "destinations.allow"); n != 2 {
		t.Errorf("want both bad rules named: %v", err)
	}
	for _, s := range []string{"10.0.0.0/8:80", "[fd00::]/8:443", "[fd00::]/8", "[::1]", "[::1]:80", "::1", "*.a.b:8080", "A.B.", "localhost"} {
		if _, err := NewPolicy(PolicyOptions{Allow: []string{s}}); err != nil {
			t.Errorf("rule %q: %v", s, err)
		}
	}
}
