package dispatch

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// openRules allow whatever rules can.
var openRules = PolicyOptions{Allow: []string{"0.0.0.0/0", "::/0", "*.example", "localhost"}, AllowPrivate: true, AllowMetadata: true}

// TestOwnListeners: a listener is refused by every address that leads to it, and
// nothing else is.
func TestOwnListeners(t *testing.T) {
	for _, tc := range []struct{ listener, refused, passes string }{
		{
			"127.0.0.1:9080",
			"127.0.0.1:9080 [::ffff:127.0.0.1]:9080 0.0.0.0:9080 [::ffff:0.0.0.0]:9080",
			"127.0.0.1:9081 127.0.0.2:9080 [::1]:9080 192.0.2.7:9080",
		},
		{"[::1]:9080", "[::1]:9080 [0:0::1]:9080 [::]:9080", "127.0.0.1:9080 [::1]:80"},
		{
			"0.0.0.0:8080",
			"0.0.0.0:8080 127.0.0.1:8080 127.9.9.9:8080 [::]:8080 [::1]:8080 192.0.2.7:8080 [2001:db8::7]:8080 [::ffff:192.0.2.7]:8080",
			"192.0.2.8:8080 192.0.2.7:80 8.8.8.8:8080 [2001:db8::8]:8080",
		},
		{"[::]:8080", "0.0.0.0:8080 127.0.0.1:8080 [::]:8080 [::1]:8080 192.0.2.7:8080 [2001:db8::7]:8080", "192.0.2.8:8080"},
		{"192.0.2.7:8080", "192.0.2.7:8080 [::ffff:192.0.2.7]:8080", "127.0.0.1:8080 0.0.0.0:8080"},
		{"[::ffff:192.0.2.7]:8080", "192.0.2.7:8080", "127.0.0.1:8080"},
		{"[fe80::7%eth0]:8080", "[fe80::7]:8080", "[fe80::8]:8080"},
	} {
		o := openRules
		o.Own = []netip.AddrPort{netip.MustParseAddrPort("10.255.255.255:1"), netip.MustParseAddrPort(tc.listener)}
		p := mustPolicy(t, o)
		p.own.local = func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}, nil
		}
		for list, refused := range map[string]bool{tc.refused: true, tc.passes: false} {
			for _, s := range strings.Fields(list) {
				for _, err := range []error{p.CheckURL("http://" + s + "/x"), p.checkAddr("h.example", netip.MustParseAddrPort(s))} {
					own := err != nil && strings.HasPrefix(err.Error(), "endpoint is this server itself: ")
					if own != refused || err != nil && !own {
						t.Errorf("listener %s, destination %s: %v", tc.listener, s, err)
					}
				}
			}
		}
	}
}

// TestOwnAddressesUnknown: what may be an address of this machine is refused.
func TestOwnAddressesUnknown(t *testing.T) {
	o := openRules
	o.Own = []netip.AddrPort{netip.MustParseAddrPort("[::]:8080")}
	p := mustPolicy(t, o)
	p.own.local = func() ([]netip.Addr, error) { return nil, errors.New("no netlink") }
	if p.CheckURL("http://8.8.8.8:8080/") == nil {
		t.Error("passed")
	}
	if err := p.CheckURL("http://8.8.8.8/"); err != nil {
		t.Errorf("another port: %v", err)
	}
}

// TestOwnAtDial: a name that resolves to a listener of ours on all addresses, by the
// addresses that this machine really has, reaches nobody.
func TestOwnAtDial(t *testing.T) {
	s := newRawServerAt(t, ":0", serveOK)
	o := openRules
	port := s.ln.Addr().(*net.TCPAddr).AddrPort().Port()
	o.Own = []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), port)}
	local, err := localAddrs()
	if err != nil || len(local) == 0 {
		t.Fatalf("%d addresses, %v", len(local), err)
	}
	r := &fakeResolver{answers: map[string][]string{}}
	c := newClient(t, Options{Policy: mustPolicy(t, o), Resolver: r})
	for _, a := range append(local, netip.IPv4Unspecified(), netip.MustParseAddr("127.3.3.3")) {
		if kindOf(a) == disguise || kindOf(a) == metadata {
			continue
		}
		r.answers["own.example"], r.asked = []string{"8.8.8.8 " + a.String()}, nil
		c.dialer.names.forget("own.example")
		do(t, c, Attempt{URL: "http://own.example:" + portOf(s)}).want(t, Refused, 0, "endpoint is this server itself: ")
	}
	if s.conns.Load() != 0 {
		t.Errorf("%d connections", s.conns.Load())
	}
}
