package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// oddHosts is the rest of RELIABILITY.md (e): what is no plain address in a URL, but
// one to some program on the way. Most of them are 127.0.0.1, where the listener of
// TestCatalogue waits.
var oddHosts = []string{
	"127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F000001", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "0x7f.1", "0177.0x0.1",
	"127.0.0.01", "0", "0x0", "127.0.0.1.", "127.1.", "①②⑦.⓪.⓪.①", "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "%31%32%37.0.0.1",
	"[::1%25lo]", "[::1%lo]", "[fe80::1%25lo]", "[::ffff:127.0.0.1%25lo]", "[127.0.0.1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[::ffff:7f00:1]",
	"user:pw@127.0.0.1", "good.example@127.0.0.1", "127.0.0.1@good.example", "@127.0.0.1", "127.0.0.1\\@good.example", "127.0.0.1\t", "127.0.0.1#@good.example",
	"localhost", "LOCALHOST", "localhost.", "a.localhost", "a.localhost.", "ＬＯＣＡＬＨＯＳＴ", "loc\u200dalhost", "ip6-localhost", "web", "metadata", "instance-data",
	"metadata.google.internal", "Metadata.Google.Internal.", "metadata.goog", "printer.local", "db.internal",
	"256.256.256.256", "1.2.3.4.5", "127.0.0.0x1", "127.0.0.1%00.example", "", "::1", "0:0:0:0:0:0:0:1",
}

// A lenientResolver finds an address in everything, as the C library's does, and
// sends the rest to 127.0.0.1: what it is asked was let through by the policy.
type lenientResolver struct{ fakeResolver }

func (r *lenientResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if _, ok := r.answers[host]; ok {
		return r.fakeResolver.LookupNetIP(ctx, network, host)
	}
	if a, ok := lenientAddr(host); ok {
		return []netip.Addr{a}, nil
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// A catalogue is all of (e) and all ways in, over listeners that count.
type catalogue struct {
	t      *testing.T
	c      *Client
	r      *lenientResolver
	target *rawServer // every address of this machine, IPv4 and IPv6
	public *rawServer // 127.0.0.2 plays the public internet
	where  string     // the Location that public answers with
	n      int
}

func newCatalogue(t *testing.T, o PolicyOptions) *catalogue {
	k := &catalogue{t: t, r: &lenientResolver{fakeResolver{answers: map[string][]string{}}}}
	k.target = newRawServerAt(t, ":0", serveOK)
	k.public = newRawServerAt(t, "127.0.0.2:0", func(c *rawConn) {
		for c.request() != "" {
			c.answer("HTTP/1.1 308 x\r\nLocation: " + k.where + "\r\nContent-Length: 0\r\n\r\n")
		}
	})
	o.Allow = append(slices.Clone(o.Allow), k.public.ln.Addr().String())
	k.c = newClient(t, Options{Policy: mustPolicy(t, o), Resolver: k.r, ConnectTimeout: 5 * time.Second})
	return k
}

// name gives the next host name that resolves to answers, one look-up each.
func (k *catalogue) name(answers ...string) string {
	k.n++
	host := fmt.Sprintf("h%d.example", k.n)
	k.r.answers[host] = answers
	return host
}

func (k *catalogue) url(host string) string { return "http://" + host + ":" + portOf(k.target) + "/" }

// ways are the ways to an address. Each returns the outcome that decides.
func (k *catalogue) ways(a netip.Addr) map[string]func() *Result {
	reach := func(host string) *Result { return do(k.t, k.c, Attempt{URL: k.url(host)}) }
	ways := map[string]func() *Result{
		"literal":       func() *Result { return reach(literal(a)) },
		"name":          func() *Result { return reach(k.name(a.String())) },
		"trailing dot":  func() *Result { return reach(k.name(a.String()) + ".") },
		"first of many": func() *Result { return reach(k.name(a.String() + " 8.8.8.8 2606:4700::1")) },
		"last of many":  func() *Result { return reach(k.name(strings.Repeat("8.8.8.8 ", 999) + a.String())) },
		"rebinding": func() *Result {
			// At first the name is public, and nobody listens there at this port.
			host := k.name("127.0.0.2", a.String())
			do(k.t, k.c, Attempt{URL: "http://" + host + ":" + portOf(k.public) + "/"}).want(k.t, OK, 308, "")
			k.c.dialer.names.forget(host) // its time to live
			return reach(host)
		},
		"redirect": func() *Result {
			k.where = k.url(literal(a))
			do(k.t, k.c, Attempt{URL: k.public.URL}).want(k.t, OK, 308, "")
			return reach(literal(a)) // what a client that follows would do
		},
	}
	if a.Is4() {
		mapped := netip.AddrFrom16(a.As16())
		ways["AAAA, mapped"] = func() *Result { return reach(k.name(mapped.String())) }
		ways["AAAA, A public"] = func() *Result { return reach(k.name("8.8.8.8 " + mapped.String())) }
		ways["literal, mapped"] = func() *Result { return reach(literal(mapped)) }
	} else {
		ways["zone"] = func() *Result { return reach(k.name(a.String() + "%lo")) }
	}
	return ways
}

// TestCatalogue (P39): no address of (e) is connected to, whichever way a message
// comes to it; a listener on every address of this machine sees nothing. Callbacks,
// schedules and groups are messages, and take the same way out.
func TestCatalogue(t *testing.T) {
	k := newCatalogue(t, PolicyOptions{})
	each := func(a netip.Addr) {
		for way, reach := range k.ways(a) {
			r := reach()
			var refused *RefusedError
			if r.Class != Refused || !errors.As(r.Err, &refused) || refused.Addr != a.Unmap().String() {
				t.Errorf("%s by %s: class %v, %v", a, way, r.Class, r.Err)
			}
		}
	}
	eachSpecial(func(kind addrKind, _ string, a netip.Addr) {
		if kind != public {
			each(a)
		}
	})
	for _, line := range strings.Split(strings.TrimSpace(ianaRegistry), "\n") {
		if text, _, _ := strings.Cut(line, " "); strings.HasSuffix(line, "false") {
			each(netip.MustParsePrefix(text).Addr())
		}
	}
	for _, host := range oddHosts {
		u := k.url(host)
		if k.c.CheckURL(u) == nil {
			t.Errorf("%s passes at publish", u)
		}
		if r := do(t, k.c, Attempt{URL: u}); r.Class != Refused && r.Class != Protocol {
			t.Errorf("%s: class %v, %v", u, r.Class, r.Err)
		}
		k.where = u
		do(t, k.c, Attempt{URL: k.public.URL}).want(t, OK, 308, "")
	}
	if n := k.target.conns.Load(); n != 0 {
		t.Errorf("%d connections arrived", n)
	}
	if n, reqs := k.public.conns.Load(), k.public.reqs.Load(); reqs < 100 || n > reqs {
		t.Errorf("%d connections and %d requests at the allowed server", n, reqs)
	}
}

// TestCatalogueReaches: the listener of TestCatalogue would have seen them. What is
// on this machine arrives there once the policy lets it.
func TestCatalogueReaches(t *testing.T) {
	k := newCatalogue(t, PolicyOptions{Allow: []string{"0.0.0.0/0", "::/0", "localhost"}})
	if conn, err := net.Dial("tcp", "[::1]:"+portOf(k.target)); err == nil {
		_ = conn.Close()
	} else {
		t.Skip("no IPv6 here")
	}
	for _, s := range []string{"127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::"} {
		for way, reach := range k.ways(netip.MustParseAddr(s)) {
			if strings.Contains(way, "many") || strings.Contains(way, "public") {
				continue // 8.8.8.8 is tried, too
			}
			if r := reach(); r.Class != OK {
				t.Errorf("%s by %s: %v", s, way, r.Err)
			}
		}
	}
	do(t, k.c, Attempt{URL: k.url("localhost")}).want(t, OK, 200, "")
}

// TestKeptAreChecked: a kept connection is to an address that was checked for its
// own name: another name for the same address is judged anew, and gets its own.
func TestKeptAreChecked(t *testing.T) {
	s := newRawServer(t, serveOK)
	r := &fakeResolver{answers: map[string][]string{"ok.example": {"127.0.0.1"}, "evil.example": {"127.0.0.1"}}}
	c := newClient(t, Options{Resolver: r, Policy: mustPolicy(t, PolicyOptions{Allow: []string{"ok.example"}})})
	for range 2 {
		do(t, c, Attempt{URL: "http://ok.example:" + portOf(s)}).want(t, OK, 200, "")
		var res Result
		c.Do(&Attempt{Method: "POST", URL: "http://evil.example:" + portOf(s), Timeout: time.Minute}, &res)
		res.want(t, Refused, 0, "loopback address: 127.0.0.1")
	}
	if s.conns.Load() != 1 || s.reqs.Load() != 2 {
		t.Errorf("%d connections, %d requests", s.conns.Load(), s.reqs.Load())
	}
}
