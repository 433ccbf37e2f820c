package dispatch

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxURLBytes is the longest destination URL accepted. Servers commonly refuse
// request lines above 8 KiB, so nothing longer could be delivered.
const MaxURLBytes = 8192

// errScheme is the wording clients know from the hosted service (QSTASH.md §1.3).
var errScheme = errors.New("endpoint has invalid scheme, add http:// or https://")

// A target is a destination URL taken apart. Every string is a piece of the URL
// that was parsed, unchanged, except host.
type target struct {
	tls bool
	// host is the name or address without port and brackets. As parseURL leaves
	// it, it has the letters' case of the URL.
	host string
	// addr is set if the host is an IP address; a v4-mapped one is unmapped.
	addr netip.Addr
	port uint16
	// authority is what the Host header says, as it stands in the URL.
	authority string
	// uri is the request target. It starts with a slash.
	uri string
}

// parseURL takes a URL apart and refuses what two parsers could read
// differently. It looks at syntax only. It is our own because net/url decodes
// and re-encodes, and a delivery must carry the very bytes that were published.
func parseURL(raw string) (target, error) {
	var t target
	rest, err := t.cutScheme(raw)
	if err != nil {
		return t, err
	}
	if len(raw) > MaxURLBytes {
		return t, fmt.Errorf("endpoint is longer than %d bytes", MaxURLBytes)
	}
	if err := checkURLBytes(raw); err != nil {
		return t, err
	}
	t.authority, t.uri = rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		t.authority, t.uri = rest[:i], requestTarget(rest[i:])
	}
	if strings.IndexByte(t.authority, '@') >= 0 {
		return t, errors.New("endpoint must not contain a user name or password, use a header instead")
	}
	host, port, err := t.splitAuthority()
	if err != nil {
		return t, err
	}
	if t.port, err = parsePort(port); err != nil {
		return t, err
	}
	return t, t.setHost(host)
}

// requestTarget returns what is asked for by what stands behind a URL's authority.
func requestTarget(rest string) string {
	if rest != "" && rest[0] == '/' {
		return rest
	}
	return "/" + rest
}

func (t *target) cutScheme(raw string) (rest string, err error) {
	scheme, rest, found := strings.Cut(raw, "://")
	switch {
	case found && strings.EqualFold(scheme, "http"):
		return rest, nil
	case found && strings.EqualFold(scheme, "https"):
		t.tls = true
		return rest, nil
	}
	return "", errScheme
}

// checkURLBytes lets printable ASCII pass, without the characters that parsers
// disagree about.
func checkURLBytes(raw string) error {
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '#':
			return errors.New("endpoint must not contain a fragment")
		case c == '\\':
			return errors.New("endpoint must not contain a backslash")
		case c <= ' ' || c == 0x7f:
			return errors.New("endpoint must not contain spaces or control characters")
		case c > 0x7f:
			return errors.New("endpoint must be ASCII, percent-encode other characters and write host names in punycode")
		}
	}
	return nil
}

// splitAuthority separates host and port. A missing port comes back as the
// scheme's own.
func (t *target) splitAuthority() (host, port string, err error) {
	host, port = t.authority, "80"
	if t.tls {
		port = "443"
	}
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", "", errors.New("endpoint has an unclosed [ in its host")
		}
		tail := host[end+1:]
		if tail != "" {
			if tail[0] != ':' {
				return "", "", errors.New("endpoint has an invalid host")
			}
			port = tail[1:]
		}
		return host[:end+1], port, nil
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		host, port = host[:i], host[i+1:]
		if strings.IndexByte(port, ':') >= 0 {
			return "", "", errors.New("endpoint has an IPv6 address without brackets")
		}
	}
	return host, port, nil
}

func parsePort(s string) (uint16, error) {
	p, err := strconv.ParseUint(s, 10, 16)
	if err != nil || p == 0 || s[0] == '0' || s[0] == '+' {
		return 0, errors.New("endpoint has an invalid port")
	}
	return uint16(p), nil
}

func (t *target) setHost(host string) error {
	if strings.HasPrefix(host, "[") {
		return t.setIPv6(host[1 : len(host)-1])
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" {
		return errors.New("endpoint has no host")
	}
	if err := checkHostName(host); err != nil {
		return err
	}
	t.host = host
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last[0] < '0' || last[0] > '9' {
		return nil
	}
	// Resolvers read 127.1, 0x7f000001 or 2130706433 as addresses, so whatever
	// ends like a number must be the one spelling that all of them agree on.
	addr, err := netip.ParseAddr(host)
	if err != nil || strings.HasSuffix(t.authorityHost(), ".") {
		return fmt.Errorf("endpoint host %q is neither a name nor a plain IPv4 address", host)
	}
	t.addr = addr
	return nil
}

// authorityHost is the authority without its port, for hosts without brackets.
func (t *target) authorityHost() string {
	host, _, _ := strings.Cut(t.authority, ":")
	return host
}

func (t *target) setIPv6(s string) error {
	if strings.IndexByte(s, '%') >= 0 {
		return errors.New("endpoint must not contain an IPv6 zone")
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || !addr.Is6() {
		return errors.New("endpoint has an invalid IPv6 address")
	}
	t.addr = addr.Unmap()
	t.host = t.addr.String()
	return nil
}

// checkHostName accepts letters, digits, '-' and '_' in labels of 1 to 63, 253
// in all: what DNS carries, with the underscore that container networks use.
func checkHostName(host string) error {
	if len(host) > 253 {
		return errors.New("endpoint host is longer than 253 bytes")
	}
	label := 0
	for i := range len(host) {
		c := host[i]
		switch {
		case c == '.':
			if label == 0 {
				return fmt.Errorf("endpoint host %q has an empty label", host)
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			label++
		default:
			return fmt.Errorf("endpoint host %q contains an invalid character", host)
		}
		if label > 63 {
			return fmt.Errorf("endpoint host %q has a label longer than 63 bytes", host)
		}
	}
	if label == 0 {
		return fmt.Errorf("endpoint host %q has an empty label", host)
	}
	return nil
}

// key is the pool key: equal for URLs that may share connections.
func (t *target) key() string {
	b := make([]byte, 0, len("https://[]:65535")+len(t.host))
	b = append(b, "http"...)
	if t.tls {
		b = append(b, 's')
	}
	b = append(b, "://"...)
	if t.addr.Is6() {
		b = append(b, '[')
		b = append(b, t.host...)
		b = append(b, ']')
	} else {
		b = append(b, strings.ToLower(t.host)...)
	}
	b = append(b, ':')
	return string(strconv.AppendUint(b, uint64(t.port), 10))
}

// HostKey returns the pool key of a URL: scheme, host and port in one spelling,
// like "http://example.com:80" or "https://[2001:db8::1]:8443". It fails, with
// the text that CheckURL would give, for what is not a usable http(s) URL.
func HostKey(rawURL string) (string, error) {
	t, err := parseURL(rawURL)
	if err != nil {
		return "", err
	}
	return t.key(), nil
}
