package dispatch

import "strings"

// A HostSet is a set of destination hosts. It never changes.
type HostSet struct{ rules ruleSet }

// ParseHostSet reads hosts as PolicyOptions.Allow does: a name, *.suffix for all names
// below one, an address or a CIDR range, each with an optional port. The error names
// every entry that is none.
func ParseHostSet(list []string) (*HostSet, error) {
	rules, err := parseRules(list, nil)
	if err != nil {
		return nil, err
	}
	return &HostSet{rules}, nil
}

// Contains says whether the host of a URL is in the set, by the URL's text alone: a name
// is never looked up, so a range holds addresses only. What is no http(s) URL is in none.
func (s *HostSet) Contains(rawURL string) bool {
	t, err := parseURL(rawURL)
	if err != nil {
		return false
	}
	if t.addr.IsValid() {
		return s.rules.ofAddr(t.addr, t.port).allows()
	}
	return s.rules.ofName(strings.ToLower(t.host), t.port).allows()
}
