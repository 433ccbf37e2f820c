package dispatch

import "net/netip"

// An addrKind says why an address is not an ordinary public one.
type addrKind uint8

const (
	public addrKind = iota
	loopback
	private
	linkLocal
	unspecified
	special   // other ranges that are not globally reachable
	multicast // and reserved and broadcast
	disguise  // carries an IPv4 address inside an IPv6 one
	metadata  // a cloud's metadata service
)

// what completes "endpoint resolves to a ... address".
var kindNames = [...]string{
	public: "public", loopback: "loopback", private: "private", linkLocal: "link-local",
	unspecified: "unspecified", special: "special-purpose", multicast: "multicast or reserved",
	disguise: "translated", metadata: "metadata",
}

func (k addrKind) String() string { return kindNames[k] }

type specialRange struct {
	prefix netip.Prefix
	kind   addrKind
}

// specialRanges is RELIABILITY.md (e) and the IANA special-purpose registries
// behind it. The most specific range that contains an address names its kind.
// net/netip's IsPrivate and IsLoopback do not serve: they let CGNAT, 0.0.0.0/8
// and all disguises pass as public.
var specialRanges = ranges(
	metadata, "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32",
	"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
	"fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128",

	unspecified, "0.0.0.0/8", "::/128",
	loopback, "127.0.0.0/8", "::1/128",
	private, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10",
	linkLocal, "169.254.0.0/16", "fe80::/10",

	special, "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24",
	"203.0.113.0/24", "198.18.0.0/15", "192.88.99.0/24",
	"2001::/23", "2001:2::/48", "2001:db8::/32", "3fff::/20", "100::/64", "5f00::/16",

	multicast, "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "ff00::/8",

	// IPv4-compatible, IPv4-translated, NAT64 (well-known and local), 6to4,
	// Teredo. A v4-mapped address never gets here: it is unmapped and judged as
	// the IPv4 address it is.
	disguise, "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48",
	"2002::/16", "2001::/32",
)

// ranges builds the table from kinds, each followed by its prefixes.
func ranges(list ...any) []specialRange {
	var out []specialRange
	var kind addrKind
	for _, v := range list {
		switch v := v.(type) {
		case addrKind:
			kind = v
		case string:
			out = append(out, specialRange{netip.MustParsePrefix(v), kind})
		}
	}
	return out
}

// globalUnicast is the only IPv6 range IANA has given out for public use.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// kindOf classifies an address without zone that is not v4-mapped.
func kindOf(a netip.Addr) addrKind {
	best, bits := public, -1
	for i := range specialRanges {
		r := &specialRanges[i]
		if r.prefix.Bits() > bits && r.prefix.Contains(a) {
			best, bits = r.kind, r.prefix.Bits()
		}
	}
	if bits < 0 && a.Is6() && !globalUnicast.Contains(a) {
		return special
	}
	return best
}

// metadataNames are refused before any look-up: what they resolve to is the
// cloud's business, and not always one of the addresses above.
var metadataNames = map[string]bool{
	"metadata.google.internal": true,
	"metadata.goog":            true,
	"metadata":                 true,
	"instance-data":            true,
}

// otherPorts belong to protocols that can be spoken to by a crafted HTTP body.
var otherPorts = map[uint16]string{
	21: "FTP", 22: "SSH", 23: "Telnet", 25: "SMTP", 53: "DNS", 110: "POP3", 119: "NNTP",
	135: "RPC", 139: "NetBIOS", 143: "IMAP", 389: "LDAP", 445: "SMB", 465: "SMTP",
	587: "SMTP", 636: "LDAP", 993: "IMAP", 995: "POP3", 1433: "SQL Server", 2049: "NFS",
	3306: "MySQL", 5432: "PostgreSQL", 6379: "Redis", 9200: "Elasticsearch",
	11211: "memcached", 27017: "MongoDB",
}
