package dispatch

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// FuzzMemo: a policy that has seen another URL of the same origin says of a URL what one
// says that has seen nothing, and names the same host.
func FuzzMemo(f *testing.F) {
	for _, s := range []string{
		"http://h.example/a?b", "HTTP://H.example", "https://[2001:db8::1]:8/x", "http://1.2.3.4:5?x", "http://h.example/a b", "http://h.example#x", "http://h.example?", "http://h.example:80\\/",
		"http://u@h.example/", "http://h.example/" + strings.Repeat("a", MaxURLBytes), "ftp://h/", "http:/", "", ":", "http://localhost/x", "http://h/\xff",
	} {
		f.Add(s)
	}
	options := PolicyOptions{Own: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5")}}
	f.Fuzz(func(t *testing.T, s string) {
		fresh, seen := mustPolicy(t, options), mustPolicy(t, options)
		var keys OriginMemo[string]
		var known origins
		if i := strings.IndexAny(strings.TrimPrefix(strings.TrimPrefix(s, "http://"), "https://"), "/?"); i >= 0 {
			other := originOf(s) + "/other"
			if seen.CheckURL(other) == nil {
				key, _ := HostKey(other)
				keys.Put(other, key)
				_, _ = known.parse(other)
			}
		}
		want := fmt.Sprint(fresh.CheckURL(s))
		for range 2 {
			if got := fmt.Sprint(seen.CheckURL(s)); got != want {
				t.Fatalf("%q: %s, by a policy that has seen nothing: %s", s, got, want)
			}
		}
		wantTarget, wantErr := parseURL(s)
		for range 2 {
			got, err := known.parse(s)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || err == nil && got != wantTarget {
				t.Fatalf("%q: taken apart as %+v %v, want %+v %v", s, got, err, wantTarget, wantErr)
			}
		}
		key, err := HostKey(s)
		if got, ok := keys.Get(s); ok && (err != nil || got != key) {
			t.Fatalf("%q: remembered %q, want %q %v", s, got, key, err)
		}
	})
}

// TestMemoFollowsPolicy: what one policy let through, the next one judges anew.
func TestMemoFollowsPolicy(t *testing.T) {
	c, err := New(Options{Policy: mustPolicy(t, PolicyOptions{})})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const u = "https://h.example/x"
	for range 2 {
		if err := c.CheckURL(u); err != nil {
			t.Fatal(err)
		}
	}
	c.SetTrust(mustPolicy(t, PolicyOptions{Deny: []string{"h.example"}}), nil)
	for range 2 {
		if refused, ok := errors.AsType[*RefusedError](c.CheckURL(u)); !ok {
			t.Fatalf("refused: %v", refused)
		}
	}
	c.SetTrust(nil, nil)
	if err := c.CheckURL(u); err != nil {
		t.Fatal(err)
	}
}

// TestMemoOwnAddress: an address that becomes this machine's is refused on a port that
// the server listens on, though it passed before.
func TestMemoOwnAddress(t *testing.T) {
	p := mustPolicy(t, PolicyOptions{Own: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}})
	var local []netip.Addr
	p.own.local = func() ([]netip.Addr, error) { return local, nil }
	if err := p.CheckURL("http://8.8.8.8:8080/"); err != nil {
		t.Fatal(err)
	}
	local = []netip.Addr{netip.MustParseAddr("8.8.8.8")}
	if p.CheckURL("http://8.8.8.8:8080/") == nil {
		t.Error("it may call itself")
	}
}

// TestMemoOfManyHosts: hosts that share places are never taken for one another.
func TestMemoOfManyHosts(t *testing.T) {
	var m OriginMemo[int]
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 4 * memoSlots {
				b := fmt.Appendf(nil, "http://h%d.example:%d/x", i, 1+i)
				m.Put(string(b), i)
				if v, ok := m.Get(string(b)); ok && v != i {
					t.Errorf("goroutine %d: %s has %d", g, b, v)
				}
			}
		})
	}
	wg.Wait()
	m.Put("http://last.example/x", -1)
	if v, ok := m.Get("http://last.example?y"); !ok || v != -1 {
		t.Errorf("the last one has %d %t", v, ok)
	}
}

// TestMemoAllocs: a host that is known costs no memory.
func TestMemoAllocs(t *testing.T) {
	p := mustPolicy(t, PolicyOptions{})
	if n := testing.AllocsPerRun(100, func() {
		if err := p.CheckURL("https://h.example/hooks/orders?shop=12"); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
