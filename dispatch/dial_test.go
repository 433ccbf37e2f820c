package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A fakeResolver answers from a script: the n-th look-up of a name gets its n-th
// answer, the last one repeats.
type fakeResolver struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   map[string]int
}

func (f *fakeResolver) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, ok := f.answers[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, Server: "10.9.8.7:53", IsNotFound: true}
	}
	if f.asked == nil {
		f.asked = map[string]int{}
	}
	n := f.asked[host]
	f.asked[host]++
	answer := list[min(n, len(list)-1)]
	switch answer {
	case "hang":
		f.mu.Unlock()
		<-ctx.Done()
		f.mu.Lock()
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, Server: "10.9.8.7:53", IsTimeout: true}
	case "fail":
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, Server: "10.9.8.7:53", IsTemporary: true}
	}
	var addrs []netip.Addr
	for _, s := range strings.Fields(answer) {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs, nil
}

func portOf(s *rawServer) string {
	_, port, _ := net.SplitHostPort(s.ln.Addr().String())
	return port
}

// TestControl: the check at the socket holds even if every check before it was
// passed, as it would be by a resolver that answers two ways.
func TestControl(t *testing.T) {
	s := newRawServer(t, serveOK)
	var tr atomic.Pointer[trust]
	tr.Store(newTrust(mustPolicy(t, PolicyOptions{}), nil))
	d := dialer{trust: &tr}
	addr := netip.MustParseAddrPort(s.ln.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	x := &exchange{r: new(Result)}
	_, err := d.connect(ctx, &endpoint{host: "h.example", port: addr.Port()}, []netip.Addr{addr.Addr()}, x)
	var refused *RefusedError
	if !errors.As(err, &refused) || s.conns.Load() != 0 {
		t.Errorf("%v, %d connections", err, s.conns.Load())
	}
}

// TestRebinding: a name that was public when it was published, and at an earlier
// attempt, becomes 127.0.0.1. The cache expires, the check does not.
func TestRebinding(t *testing.T) {
	s := newRawServer(t, serveOK)
	r := &fakeResolver{answers: map[string][]string{"evil.example": {"127.0.0.2", "127.0.0.1"}}}
	// 127.0.0.2 plays the public address.
	p := mustPolicy(t, PolicyOptions{Allow: []string{"127.0.0.2"}})
	c := newClient(t, Options{Policy: p, Resolver: r})
	u := "http://evil.example:" + portOf(s) + "/"
	if err := p.CheckURL(u); err != nil {
		t.Fatal(err)
	}
	// Nobody listens at 127.0.0.2, so this fails and the answer is forgotten.
	do(t, c, Attempt{URL: u}).want(t, Connect, 0, "dial tcp 127.0.0.2:"+portOf(s)+": connection refused")
	do(t, c, Attempt{URL: u}).want(t, Refused, 0, "endpoint resolves to a loopback address: 127.0.0.1")
	if r.asked["evil.example"] != 2 || s.conns.Load() != 0 {
		t.Errorf("%d look-ups, %d connections", r.asked["evil.example"], s.conns.Load())
	}
}

func TestNames(t *testing.T) {
	s := newRawServer(t, serveOK)
	r := &fakeResolver{answers: map[string][]string{
		"ok.example":      {"127.0.0.1"},
		"second.example":  {"127.0.0.9 127.0.0.1"},
		"mapped.example":  {"::ffff:127.0.0.1"},
		"none.example":    {""},
		"hang.example":    {"hang"},
		"fail.example":    {"fail"},
		"many.example":    {strings.Repeat("127.0.0.1 ", maxNameAddrs+1)},
		"metadata":        {"127.0.0.1"},
		"allowed.example": {"127.0.0.1"},
	}}
	c := newClient(t, Options{Resolver: r, ConnectTimeout: 100 * time.Millisecond})
	for _, tc := range []struct {
		host  string
		class Class
		err   string
	}{
		{"ok.example", OK, ""},
		{"OK.Example.", OK, ""},
		{"second.example", OK, ""},
		{"mapped.example", OK, ""},
		{"none.example", Resolve, "lookup none.example: temporary failure"},
		{"gone.example", Resolve, "lookup gone.example: no such host"},
		{"fail.example", Resolve, "lookup fail.example: temporary failure in name resolution"},
		{"many.example", Resolve, "lookup many.example"},
		{"hang.example", Timeout, "timeout after 100ms resolving the host"},
		{"metadata", Refused, "metadata host"},
	} {
		res := do(t, c, Attempt{URL: "http://" + tc.host + ":" + portOf(s) + "/"})
		if res.Class != tc.class || !strings.Contains(fmt.Sprint(res.Err), tc.err) {
			t.Errorf("%s: class %v, %v", tc.host, res.Class, res.Err)
		}
		if strings.Contains(fmt.Sprint(res.Err), "10.9.8.7") {
			t.Errorf("%s: the resolver's address is in %v", tc.host, res.Err)
		}
	}
	if r.asked["metadata"] != 0 {
		t.Error("a metadata name was looked up")
	}
	if r.asked["ok.example"] != 1 {
		t.Errorf("ok.example was looked up %d times", r.asked["ok.example"])
	}
}

// TestAttemptTimeoutWhileResolving: the attempt's own, shorter bound holds too.
func TestAttemptTimeoutWhileResolving(t *testing.T) {
	r := &fakeResolver{answers: map[string][]string{"hang.example": {"hang"}}}
	res := do(t, newClient(t, Options{Resolver: r}), Attempt{URL: "http://hang.example/", Timeout: 80 * time.Millisecond})
	res.want(t, Timeout, 0, "timeout after 80ms resolving the host")
}

func TestNameCache(t *testing.T) {
	r := &fakeResolver{answers: map[string][]string{"a.example": {"10.0.0.1", "10.0.0.2"}}}
	n := newNameCache(r)
	now := time.Now()
	first, err := n.lookup(t.Context(), "a.example")
	if err != nil {
		t.Fatal(err)
	}
	if got := n.cached("a.example", now.Add(nameTTL-time.Second)); len(got) != 1 || got[0] != first[0] {
		t.Errorf("not kept: %v", got)
	}
	if got := n.cached("a.example", now.Add(nameTTL+time.Minute)); got != nil {
		t.Errorf("kept past its time: %v", got)
	}
	for i := range 3 * maxNames {
		n.store(fmt.Sprint(i), first, now)
		if len(n.mu.names) > maxNames {
			t.Fatalf("%d names", len(n.mu.names))
		}
	}
	n.store("late", first, now.Add(2*nameTTL))
	if len(n.mu.names) != maxNames-nameSample+1 || n.cached("late", now) == nil {
		t.Errorf("%d names after all others expired", len(n.mu.names))
	}
}

// TestLongAnswers: an answer is kept if it is short.
func TestLongAnswers(t *testing.T) {
	r := &fakeResolver{answers: map[string][]string{
		"short.example": {strings.Repeat("10.0.0.1 ", maxCachedAddrs)},
		"long.example":  {strings.Repeat("10.0.0.1 ", maxCachedAddrs+1)},
	}}
	n := newNameCache(r)
	for range 2 {
		for host, list := range r.answers {
			if got, err := n.lookup(t.Context(), host); err != nil || len(got) != len(strings.Fields(list[0])) {
				t.Errorf("%s: %d addresses, %v", host, len(got), err)
			}
		}
	}
	if r.asked["short.example"] != 1 || r.asked["long.example"] != 2 {
		t.Errorf("asked %v", r.asked)
	}
}

// TestExhausted: a machine without descriptors is not the destination's fault (P35).
func TestExhausted(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		socket := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
		for _, err := range []error{
			dialFailure("8.8.8.8:80", socket),
			lookupFailure("h.example", &net.DNSError{Err: socket.Error(), Name: "h.example", Server: "10.9.8.7:53"}),
		} {
			var f *failure
			if !errors.As(err, &f) || f.class != Busy || strings.Contains(f.text, "10.9.8.7") {
				t.Errorf("%v: %v", errno, err)
			}
		}
	}
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL} {
		if f := dialFailure("8.8.8.8:80", errno).(*failure); f.class != Connect {
			t.Errorf("%v: class %v", errno, f.class)
		}
	}
}

func TestIPv6(t *testing.T) {
	s := newRawServerAt(t, "[::1]:0", serveOK)
	r := &fakeResolver{answers: map[string][]string{"six.example": {"::1"}}}
	c := newClient(t, Options{Resolver: r})
	for _, host := range []string{"[::1]", "[0:0::1]", "six.example"} {
		do(t, c, Attempt{URL: "http://" + host + ":" + portOf(s) + "/"}).want(t, OK, 200, "")
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections: one spelling of [::1] does not share with the other", n)
	}
	serve := newClient(t, Options{Policy: mustPolicy(t, PolicyOptions{})})
	do(t, serve, Attempt{URL: s.URL}).want(t, Refused, 0, "endpoint resolves to a loopback address: ::1")
}

// TestNoProxy: the environment does not decide where deliveries go.
func TestNoProxy(t *testing.T) {
	proxy, s := newRawServer(t, serveOK), newRawServer(t, serveOK)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	do(t, newClient(t, Options{}), Attempt{URL: s.URL}).want(t, OK, 200, "")
	if proxy.conns.Load() != 0 {
		t.Error("the proxy was used")
	}
}
