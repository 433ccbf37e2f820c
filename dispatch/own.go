package dispatch

import (
	"net"
	"net/netip"
	"slices"
)

// own are the server's own listeners, which are never a destination: with the API
// as one, whoever may publish could have the server call itself for ever, and with
// the admin listener read what only this machine may. No rule allows them, so that
// one that is wider than meant does not either.
//
// A listener is known by every address of this machine that leads to it, not by an
// address of which another machine sends on (NAT, a load balancer in front): there a
// request comes in from outside, and the API asks it for a token.
type own struct {
	listeners []netip.AddrPort
	// local returns this machine's addresses, for listeners on all of them. They
	// change, so they are asked for at each dial to a port of our own.
	local func() ([]netip.Addr, error)
}

func newOwn(listeners []netip.AddrPort) own {
	o := own{local: localAddrs}
	for _, l := range listeners {
		o.listeners = append(o.listeners, netip.AddrPortFrom(l.Addr().WithZone("").Unmap(), l.Port()))
	}
	return o
}

// has is true if a connection to addr, which is unmapped, would be one to ourselves.
func (o *own) has(addr netip.Addr, port uint16) bool {
	for _, l := range o.listeners {
		if l.Port() == port && o.reaches(addr, l.Addr()) {
			return true
		}
	}
	return false
}

// listens says whether a listener has this port, on whatever address.
func (o *own) listens(port uint16) bool {
	return slices.ContainsFunc(o.listeners, func(l netip.AddrPort) bool { return l.Port() == port })
}

func (o *own) reaches(addr, listener netip.Addr) bool {
	if addr.IsUnspecified() { // Linux connects to the loopback address of that family
		return listener.IsUnspecified() || listener.IsLoopback()
	}
	if !listener.IsUnspecified() {
		return addr == listener
	}
	if addr.IsLoopback() {
		return true
	}
	local, err := o.local()
	return err != nil || slices.Contains(local, addr) // not known to be another's: refused
}

func localAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().WithZone("").Unmap())
		}
	}
	return out, nil
}
