package dispatch

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// tlsSessions bounds the cache of TLS sessions to resume.
	tlsSessions = 1024
	// maxDialAddrs bounds how many addresses of one answer are tried.
	maxDialAddrs = 8
	// minDialShare is the least time one address gets while others are left.
	minDialShare = 2 * time.Second
)

// A dialer makes checked connections. It knows no proxy: one from the environment
// would decide where a delivery goes behind the policy's back.
type dialer struct {
	trust *atomic.Pointer[trust] // looked at anew for each check, so that the newest holds
	names *nameCache
	limit time.Duration
}

// An endpoint is what a pool dials.
type endpoint struct {
	tls  *tls.Config // nil: plain
	host string      // lower case, without brackets
	addr netip.Addr  // set if host is an address
	port uint16
}

func (tr *trust) endpoint(t *target, host string) endpoint {
	e := endpoint{host: host, addr: t.addr, port: t.port}
	if t.tls {
		e.tls = tr.tls.Clone()
		e.tls.ServerName = e.host
	}
	return e
}

// dial connects to e before the deadline of ctx and adds to x's timing. It
// reports each step to x, so that a timeout can say what it interrupted.
func (d *dialer) dial(ctx context.Context, e *endpoint, x *exchange) (net.Conn, *net.TCPConn, error) {
	addrs, err := d.resolve(ctx, e, x)
	if err != nil {
		return nil, nil, err
	}
	raw, err := d.connect(ctx, e, addrs, x)
	if err != nil {
		d.names.forget(e.host)
		return nil, nil, err
	}
	if e.tls == nil {
		return raw, raw, nil
	}
	conn, err := d.handshake(ctx, e, raw, x)
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return conn, raw, nil
}

// resolve returns e's addresses, every one of which passed the policy. One that
// is refused refuses them all: an answer that mixes public and private addresses
// is a rebinding attempt or a mistake, and neither deserves a connection.
func (d *dialer) resolve(ctx context.Context, e *endpoint, x *exchange) ([]netip.Addr, error) {
	x.phase = resolving
	var addrs []netip.Addr
	if e.addr.IsValid() {
		addrs = []netip.Addr{e.addr}
	} else {
		if err := d.trust.Load().policy.checkName(e.host, e.port); err != nil {
			return nil, dialFailure(e.host, err)
		}
		start := time.Now()
		var err error
		addrs, err = d.names.lookup(ctx, e.host)
		x.r.Timing.DNS += time.Since(start)
		if err != nil {
			return nil, lookupFailure(e.host, err)
		}
	}
	for _, a := range addrs {
		if err := d.trust.Load().policy.checkAddr(e.host, netip.AddrPortFrom(a, e.port)); err != nil {
			return nil, dialFailure(e.host, err)
		}
	}
	return addrs, nil
}

// connect tries the addresses in the resolver's order (RFC 6724) until one
// answers. Each gets its share of the time left.
func (d *dialer) connect(ctx context.Context, e *endpoint, addrs []netip.Addr, x *exchange) (*net.TCPConn, error) {
	x.phase = connecting
	start := time.Now()
	defer func() { x.r.Timing.Connect += time.Since(start) }()
	addrs = addrs[:min(len(addrs), maxDialAddrs)]
	// Control sees the address the socket is about to be connected to. Everything
	// before it is a courtesy; this is the check that holds.
	nd := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return d.trust.Load().policy.checkAddr(e.host, ap)
	}}
	var first error
	for i, a := range addrs {
		conn, err := dialOne(ctx, &nd, netip.AddrPortFrom(a, e.port).String(), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func dialOne(ctx context.Context, nd *net.Dialer, addr string, left int) (*net.TCPConn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		share := max(time.Until(deadline)/time.Duration(left), minDialShare)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, share)
		defer cancel()
	}
	conn, err := nd.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, dialFailure(addr, err)
	}
	return conn.(*net.TCPConn), nil
}

func (d *dialer) handshake(ctx context.Context, e *endpoint, raw net.Conn, x *exchange) (*tls.Conn, error) {
	x.phase = handshaking
	start := time.Now()
	defer func() { x.r.Timing.TLS += time.Since(start) }()
	conn := tls.Client(raw, e.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, tlsFailure(e.host, err)
	}
	return conn, nil
}
