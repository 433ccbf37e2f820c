package dispatch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// A Resolver looks host names up. *net.Resolver is one. Tests pass their own.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// maxMaxResponse keeps sums with MaxResponse from overflowing. The engine's bound is
// far below.
const maxMaxResponse = 1 << 30

// Options configure a Client. The zero value works.
type Options struct {
	// Policy decides which addresses may be dialled.
	// Default: NewPolicy(PolicyOptions{}), the rules of serve.
	Policy *Policy
	// Timeout is for attempts that name none. Default: 15 minutes.
	Timeout time.Duration
	// ConnectTimeout bounds look-up, connecting and TLS together, so that a dead
	// host costs less than a slow one may. Default: 10 s.
	ConnectTimeout time.Duration
	// IdleTimeout closes kept connections that were not used for so long. It is
	// shorter than what usual servers keep (Node, Apache and uvicorn 5 s, load
	// balancers 60 s, nginx 75 s), because each connection that a server closes first
	// can cost a re-dial, and a message that is seen twice. Default: 4 s.
	IdleTimeout time.Duration
	// MaxResponse is how many bytes of an answer's body are kept; the rest is cut off
	// with the connection. Headers, chunk framing and the read-ahead included, at
	// most MaxHeader + 2×256 KiB more are read. Default: 1 MiB.
	MaxResponse int
	// MaxHeader bounds status line and headers of an answer together, in bytes.
	// Default: 64 KiB.
	MaxHeader int
	// MaxConnsPerHost bounds open connections to a host. The engine gates what
	// runs in parallel; this is the net under it, so keep it well above.
	// Default: 1024.
	MaxConnsPerHost int
	// MaxIdleConns bounds kept connections over all hosts: each is a file
	// descriptor. Above it connections are closed after use. Default: 2048.
	MaxIdleConns int
	// MaxHosts bounds the host pools. Above it attempts to further hosts use a
	// connection of their own that is not kept. Default: 16384.
	MaxHosts int
	// RootCAs verify servers. Default: the system's.
	RootCAs *x509.CertPool
	// Resolver looks names up. Default: Go's own resolver (PreferGo), since
	// glibc's reads 2130706433 and 0x7f.1 as addresses.
	Resolver Resolver
	// Logger gets operational events. Default: slog.DiscardHandler.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Timeout = orDefault(o.Timeout, 15*time.Minute)
	o.ConnectTimeout = orDefault(o.ConnectTimeout, 10*time.Second)
	o.IdleTimeout = orDefault(o.IdleTimeout, 4*time.Second)
	o.MaxResponse = orDefault(o.MaxResponse, 1<<20)
	o.MaxHeader = orDefault(o.MaxHeader, 64<<10)
	o.MaxConnsPerHost = orDefault(o.MaxConnsPerHost, 1024)
	o.MaxIdleConns = orDefault(o.MaxIdleConns, 2048)
	o.MaxHosts = orDefault(o.MaxHosts, 16384)
	if o.Resolver == nil {
		o.Resolver = &net.Resolver{PreferGo: true}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (o Options) validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value int64
	}{
		{"Timeout", int64(o.Timeout)},
		{"ConnectTimeout", int64(o.ConnectTimeout)},
		{"IdleTimeout", int64(o.IdleTimeout)},
		{"MaxResponse", int64(o.MaxResponse)},
		{"MaxConnsPerHost", int64(o.MaxConnsPerHost)},
		{"MaxIdleConns", int64(o.MaxIdleConns)},
		{"MaxHosts", int64(o.MaxHosts)},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("dispatch: Options.%s is negative", d.name))
		}
	}
	if o.MaxResponse > maxMaxResponse {
		errs = append(errs, fmt.Errorf("dispatch: Options.MaxResponse is above %d", maxMaxResponse))
	}
	if o.MaxHeader < readBufferSmall {
		errs = append(errs, fmt.Errorf("dispatch: Options.MaxHeader is below %d", readBufferSmall))
	}
	return errors.Join(errs...)
}
