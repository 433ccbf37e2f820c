package dispatch

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// PolicyOptions say which destinations an operator allows. The zero value is the
// rule of serve: public addresses only.
type PolicyOptions struct {
	// Allow and Deny hold a CIDR range, an address, a host name or a *.suffix,
	// each with an optional :port (IPv6 with a port: [fd00::1]:8080).
	//
	// Rules about names and rules about addresses are judged apart, the more
	// specific rule of each deciding, deny at equal length. A destination is
	// refused if either says deny, so a denied range stays denied under every
	// name; it is let through if either says allow.
	Allow, Deny []string
	// AllowPrivate is for development: loopback and private addresses, local
	// names and every port pass.
	AllowPrivate bool
	// AllowMetadata lets the clouds' metadata addresses and names pass. No rule of
	// Allow does that by itself.
	AllowMetadata bool
	// Own are the addresses on which this server listens. They are refused, whatever
	// else is allowed; an unspecified address stands for all of this machine's.
	Own []netip.AddrPort
}

// A Policy decides which destinations may be called. Its rules are immutable: other ones
// are another Policy, which remembers nothing of this one's. It is safe for concurrent use.
type Policy struct {
	rules         ruleSet
	own           own
	allowPrivate  bool
	allowMetadata bool
	passed        OriginMemo[struct{}] // what CheckURL let through
}

// NewPolicy checks the rules. Its error names each bad one and its option.
func NewPolicy(o PolicyOptions) (*Policy, error) {
	rules, err := parseRules(o.Allow, o.Deny)
	if err != nil {
		return nil, err
	}
	return &Policy{rules: rules, own: newOwn(o.Own), allowPrivate: o.AllowPrivate, allowMetadata: o.AllowMetadata}, nil
}

// A RefusedError says that the policy forbids a destination.
type RefusedError struct {
	// Host is the name or address in the URL.
	Host string
	// Addr is the address that was refused; empty if the name or port was.
	Addr string
	// Reason is the whole text, with the option that would allow it.
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// CheckURL says whether a URL may be published: syntax, spelling, name, port, and
// the address if the host is one. It asks no DNS; what a name resolves to is
// checked when it is dialled. The error text is for the producer.
func (p *Policy) CheckURL(rawURL string) error {
	if _, ok := p.passed.Get(rawURL); ok {
		return nil
	}
	t, err := parseURL(rawURL)
	if err != nil {
		return err
	}
	if err := p.checkTarget(&t); err != nil {
		return err
	}
	if !t.addr.IsValid() || !p.own.listens(t.port) { // which addresses are ours changes
		p.passed.Put(rawURL, struct{}{})
	}
	return nil
}

func (p *Policy) checkTarget(t *target) error {
	if t.addr.IsValid() {
		return p.checkAddr(t.host, netip.AddrPortFrom(t.addr, t.port))
	}
	return p.checkName(strings.ToLower(t.host), t.port)
}

// checkName judges a lower-case name and its port, before any look-up.
func (p *Policy) checkName(host string, port uint16) error {
	v := p.rules.ofName(host, port)
	meta := metadataNames[host]
	switch {
	case v.denies():
		return refuse(host, "", "endpoint host %s is denied by --destinations.deny", host)
	case meta && !p.allowMetadata:
		return refuse(host, "", "endpoint is a metadata host: %s (to allow it, start the server with --destinations.allow-metadata)", host)
	case isLocalName(host) && !v.allows() && !p.allowPrivate && !meta:
		return refuseName(host)
	case !p.portAllowed(port, v):
		return refusePort(host, port)
	}
	return nil
}

// isLocalName is true for names that never belong to the public internet.
func isLocalName(host string) bool {
	return strings.IndexByte(host, '.') < 0 ||
		strings.HasSuffix(host, ".localhost") ||
		strings.HasSuffix(host, ".local") ||
		strings.HasSuffix(host, ".internal")
}

// portAllowed is false for ports of other protocols unless the rule names the port.
func (p *Policy) portAllowed(port uint16, v verdict) bool {
	_, other := otherPorts[port]
	return !other || p.allowPrivate || v.allows() && v.port
}

// checkAddr judges one address that a host stands for. It is called for a literal
// at publish, for every address of a DNS answer, and for the address a socket is
// about to be connected to.
func (p *Policy) checkAddr(host string, ap netip.AddrPort) error {
	addr, port := ap.Addr().WithZone("").Unmap(), ap.Port()
	if p.own.has(addr, port) {
		return refuse(host, addr.String(), "endpoint is this server itself: %s", netip.AddrPortFrom(addr, port))
	}
	byAddr, byName := p.rules.ofAddr(addr, port), p.rules.ofName(strings.ToLower(host), port)
	if byAddr.denies() || byName.denies() {
		return refuse(host, addr.String(), "endpoint address %s is denied by --destinations.deny", addr)
	}
	kind := kindOf(addr)
	if !p.kindAllowed(kind, byAddr.allows() || byName.allows()) {
		return refuseKind(host, addr, kind)
	}
	if p.portAllowed(port, byAddr) || p.portAllowed(port, byName) {
		return nil
	}
	return refusePort(host, port)
}

func (p *Policy) kindAllowed(k addrKind, byRule bool) bool {
	switch k {
	case public:
		return true
	case disguise:
		// Nobody needs to spell an IPv4 address this way, and what a translator
		// makes of it cannot be checked here.
		return false
	case metadata:
		return p.allowMetadata
	case loopback, private:
		return byRule || p.allowPrivate
	}
	return byRule
}

func refuse(host, addr, format string, args ...any) *RefusedError {
	return &RefusedError{Host: host, Addr: addr, Reason: fmt.Sprintf(format, args...)}
}

func refuseKind(host string, addr netip.Addr, k addrKind) *RefusedError {
	article := "a"
	if k == unspecified {
		article = "an"
	}
	text := fmt.Sprintf("endpoint resolves to %s %s address: %s", article, k, addr)
	switch k {
	case disguise:
		text += " (an IPv4 address inside an IPv6 one, use the IPv4 address itself)"
	case metadata:
		text += " (to allow it, start the server with --destinations.allow-metadata)"
	default:
		text += " (to allow it, start the server with --destinations.allow " + addr.String() + ")"
	}
	return &RefusedError{Host: host, Addr: addr.String(), Reason: text}
}

func refuseName(host string) *RefusedError {
	what := "private"
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		what = "loopback"
	}
	return refuse(host, "", "endpoint resolves to a %s address: %s (to allow it, start the server with --destinations.allow %s)", what, host, host)
}

func refusePort(host string, port uint16) *RefusedError {
	at := host + ":" + strconv.Itoa(int(port))
	if strings.IndexByte(host, ':') >= 0 {
		at = "[" + host + "]:" + strconv.Itoa(int(port))
	}
	return refuse(host, "", "endpoint uses port %d, which belongs to %s (to allow it, start the server with --destinations.allow %s)",
		port, otherPorts[port], at)
}
