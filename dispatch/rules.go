package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A rule is one entry of Allow or Deny: an address range, a host name or a
// suffix of one, for one port or all.
type rule struct {
	prefix netip.Prefix // set: a rule about addresses
	name   string       // otherwise: lower case, for a suffix with its leading dot
	port   uint16       // 0: every port
	deny   bool
}

// A ruleSet keeps rules about names and rules about addresses apart, each with
// the most specific first and deny before allow, so that the first match decides.
type ruleSet struct {
	names, addrs []rule
}

// A verdict is what the rules say of a host or an address.
type verdict struct {
	known bool // a rule matched
	deny  bool
	port  bool // that rule names the port
}

func (v verdict) allows() bool { return v.known && !v.deny }
func (v verdict) denies() bool { return v.known && v.deny }

func parseRules(allow, deny []string) (ruleSet, error) {
	var set ruleSet
	var errs []error
	add := func(list []string, deny bool, option string) {
		for _, s := range list {
			r, err := parseRule(s)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %q: %w", option, s, err))
				continue
			}
			r.deny = deny
			if r.prefix.IsValid() {
				set.addrs = append(set.addrs, r)
			} else {
				set.names = append(set.names, r)
			}
		}
	}
	add(allow, false, "destinations.allow")
	add(deny, true, "destinations.deny")
	slices.SortStableFunc(set.names, compareRules)
	slices.SortStableFunc(set.addrs, compareRules)
	return set, errors.Join(errs...)
}

// compareRules sorts by specificity: a longer prefix, an exact name before a
// suffix, a longer suffix; then a rule with a port; then deny.
func compareRules(a, b rule) int {
	return cmp.Or(
		cmp.Compare(b.prefix.Bits(), a.prefix.Bits()),
		compareBool(b.exact(), a.exact()),
		cmp.Compare(len(b.name), len(a.name)),
		compareBool(b.port != 0, a.port != 0),
		compareBool(b.deny, a.deny),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (r rule) exact() bool { return r.name != "" && r.name[0] != '.' }

// parseRule reads "10.0.0.0/8", "10.1.2.3:8080", "127.0.0.1/32:3000", "fd00::/8",
// "[fd00::1]:8080", "[fd00::/8]:8080", "api.internal:8080", "*.example.com".
func parseRule(s string) (rule, error) {
	host, port, err := splitRulePort(s)
	if err != nil {
		return rule{}, err
	}
	r := rule{port: port}
	if p, err := netip.ParsePrefix(host); err == nil {
		if p != p.Masked() {
			return rule{}, fmt.Errorf("has bits set beyond its prefix, write %s", p.Masked())
		}
		r.prefix = p
		return r.unmapped()
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return rule{}, errors.New("must not have a zone")
		}
		r.prefix = netip.PrefixFrom(a, a.BitLen())
		return r.unmapped()
	}
	return r.withName(host)
}

// unmapped turns a v4-mapped range into the IPv4 range it means, because
// addresses are unmapped before they are judged.
func (r rule) unmapped() (rule, error) {
	a := r.prefix.Addr()
	if !a.Is4In6() {
		return r, nil
	}
	if r.prefix.Bits() < 96 {
		return rule{}, errors.New("is wider than the IPv4 addresses it maps")
	}
	r.prefix = netip.PrefixFrom(a.Unmap(), r.prefix.Bits()-96)
	return r, nil
}

func (r rule) withName(host string) (rule, error) {
	name, wild := strings.CutPrefix(strings.ToLower(host), "*.")
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return rule{}, errors.New("is empty")
	}
	if err := checkHostName(name); err != nil {
		return rule{}, errors.New("is neither an address, a CIDR range, a name nor a *.suffix")
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; last[0] >= '0' && last[0] <= '9' {
		return rule{}, errors.New("is neither a name nor a plain address")
	}
	if wild {
		name = "." + name
	}
	r.name = name
	return r, nil
}

// splitRulePort cuts an optional ":port" off. An IPv6 address needs brackets for
// that, so a bare one keeps all its colons.
func splitRulePort(s string) (host string, port uint16, err error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, tail, found := strings.Cut(inner, "]")
		if !found {
			return "", 0, errors.New("has an unclosed [")
		}
		if mask, ok := strings.CutPrefix(tail, "/"); ok {
			// [fd00::]/8:443, the other natural spelling of a range with a port.
			bits, p, _ := strings.Cut(mask, ":")
			host, tail = host+"/"+bits, tail[1+len(bits):]
			if p == "" {
				tail = strings.TrimSuffix(tail, ":")
			}
		}
		if tail == "" {
			return host, 0, nil
		}
		if tail[0] != ':' {
			return "", 0, errors.New("has something after its ]")
		}
		port, err = parsePort(tail[1:])
		return host, port, err
	}
	if strings.Count(s, ":") != 1 {
		return s, 0, nil
	}
	host, p, _ := strings.Cut(s, ":")
	port, err = parsePort(p)
	return host, port, err
}

// ofName judges a lower-case host name.
func (s *ruleSet) ofName(host string, port uint16) verdict {
	for i := range s.names {
		r := &s.names[i]
		if (r.port == 0 || r.port == port) && r.matchesName(host) {
			return verdict{known: true, deny: r.deny, port: r.port != 0}
		}
	}
	return verdict{}
}

func (r *rule) matchesName(host string) bool {
	if r.name[0] == '.' {
		return strings.HasSuffix(host, r.name) && len(host) > len(r.name)
	}
	return host == r.name
}

// ofAddr judges an unmapped address.
func (s *ruleSet) ofAddr(a netip.Addr, port uint16) verdict {
	for i := range s.addrs {
		r := &s.addrs[i]
		if (r.port == 0 || r.port == port) && r.prefix.Contains(a) {
			return verdict{known: true, deny: r.deny, port: r.port != 0}
		}
	}
	return verdict{}
}
