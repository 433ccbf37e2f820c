package dispatch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// ianaRegistry is the IANA IPv4 and IPv6 Special-Purpose Address Registries, as
// published: range and "Globally Reachable". The registries' own rule is that a more
// specific row wins. It is written down apart from specialRanges, and judged by
// first and last addresses, so that one mistake does not hide in both.
const ianaRegistry = `
0.0.0.0/8 false
0.0.0.0/32 false
10.0.0.0/8 false
100.64.0.0/10 false
127.0.0.0/8 false
169.254.0.0/16 false
172.16.0.0/12 false
192.0.0.0/24 false
192.0.0.0/29 false
192.0.0.8/32 false
192.0.0.9/32 true
192.0.0.10/32 true
192.0.0.170/32 false
192.0.0.171/32 false
192.0.2.0/24 false
192.31.196.0/24 true
192.52.193.0/24 true
192.88.99.0/24 false
192.168.0.0/16 false
192.175.48.0/24 true
198.18.0.0/15 false
198.51.100.0/24 false
203.0.113.0/24 false
240.0.0.0/4 false
255.255.255.255/32 false
::1/128 false
::/128 false
::ffff:0:0/96 false
64:ff9b::/96 true
64:ff9b:1::/48 false
100::/64 false
100:0:0:1::/64 false
2001::/23 false
2001::/32 false
2001:1::1/128 true
2001:1::2/128 true
2001:1::3/128 true
2001:2::/48 false
2001:3::/32 true
2001:4:112::/48 true
2001:10::/28 false
2001:20::/28 true
2001:30::/28 true
2001:db8::/32 false
2002::/16 false
2620:4f:8000::/48 true
3fff::/20 false
5f00::/16 false
fc00::/7 false
fe80::/10 false
`

// beyondRegistry is what RELIABILITY.md (e) refuses besides: multicast, addresses
// that hold an IPv4 address, the former site-local range, and metadata services
// that clouds put at public addresses.
const beyondRegistry = `
224.0.0.0/4 false
168.63.129.16/32 false
::/96 false
::ffff:0:0:0/96 false
64:ff9b::/96 false
fec0::/10 false
ff00::/8 false
`

type oracleRow struct {
	first, last []byte // of the same length, compared as numbers
	bits        int
	global      bool
}

var oracleRows = func() (rows map[int][]oracleRow) {
	rows = map[int][]oracleRow{}
	for _, line := range strings.Split(strings.TrimSpace(ianaRegistry+beyondRegistry), "\n") {
		if line == "" {
			continue
		}
		text, global, _ := strings.Cut(line, " ")
		p := netip.MustParsePrefix(text)
		first, last := p.Addr().AsSlice(), p.Addr().AsSlice()
		for i := p.Bits(); i < 8*len(last); i++ {
			last[i/8] |= 0x80 >> (i % 8)
		}
		rows[len(first)] = append(rows[len(first)], oracleRow{first, last, p.Bits(), global == "true"})
	}
	return rows
}()

// globallyReachable is what the tables say of an address; either is true where the
// registry says "global" in the middle of a range that it calls special: to refuse
// those few is allowed.
func globallyReachable(a netip.Addr) (global, either bool) {
	if a.Is4In6() {
		a = a.Unmap()
	}
	n, best, special := a.AsSlice(), oracleRow{bits: -1, global: true}, false
	for _, r := range oracleRows[len(n)] {
		if bytes.Compare(n, r.first) < 0 || bytes.Compare(n, r.last) > 0 {
			continue
		}
		special = special || !r.global
		if r.bits > best.bits || r.bits == best.bits && !r.global {
			best = r
		}
	}
	if a.Is6() && best.bits < 0 {
		return n[0]>>5 == 1, false // 2000::/3, all that was ever given out
	}
	return best.global, best.global && special
}

// lenientAddr reads a host as the most lenient program would: inet_aton's one to
// four parts in decimal, octal or hex, a trailing dot, a zone, brackets around
// anything, full-width digits and dots.
func lenientAddr(host string) (netip.Addr, bool) {
	host = strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r >= '①' && r <= '⑨':
			return r - '①' + '1'
		case r == '⓪':
			return '0'
		case r == '。' || r == '．' || r == '｡':
			return '.'
		case r >= 'ａ' && r <= 'ｚ':
			return r - 'ａ' + 'a'
		}
		return r
	}, host)
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	host, _, _ = strings.Cut(host, "%")
	host = strings.TrimSuffix(host, ".")
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(asGo(p), 0, 33)
		most := uint64(255)
		if i == len(parts)-1 {
			most = 1<<(8*(5-len(parts))) - 1
			v = v<<(8*(5-len(parts))) | n
		} else {
			v = v<<8 | n
		}
		if err != nil || n > most || strings.Contains(p, "_") {
			return netip.Addr{}, false
		}
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// asGo spells an octal number as ParseUint wants it: 0177 is 0o177, but 0o177 and
// 0b1 are nothing that inet_aton reads.
func asGo(p string) string {
	low := strings.ToLower(p)
	if strings.HasPrefix(low, "0o") || strings.HasPrefix(low, "0b") {
		return "-"
	}
	return low
}

// FuzzHost: no host that passes at publish is, in any program's reading, an address
// that the tables call special; an address that passes at publish passes at the
// dial and the other way round.
func FuzzHost(f *testing.F) {
	for _, s := range []string{
		"example.com", "127.1", "0x7f.1", "[::ffff:127.0.0.1]", "[fe80::1%25lo]", "8.8.8.8", "[64:ff9b::1]", "①②⑦.⓪.⓪.①", "127.0.0.1.", "u:p@127.0.0.1", "[::1]:80",
	} {
		f.Add(s)
	}
	p := mustPolicy(f, PolicyOptions{})
	f.Fuzz(func(t *testing.T, host string) { judge(t, p, host) })
}

func judge(t testing.TB, p *Policy, host string) {
	err := p.CheckURL("http://" + host + "/")
	for _, reading := range []string{host, strings.TrimSuffix(host, ":80"), host[strings.LastIndexByte(host, '@')+1:]} {
		a, ok := lenientAddr(reading)
		if !ok {
			continue
		}
		global, either := globallyReachable(a)
		if err == nil && !global {
			t.Fatalf("http://%s/ passes: %s", host, a)
		}
		atDial := p.checkAddr("h.example", netip.AddrPortFrom(a.WithZone(""), 80))
		if (atDial == nil) != global && !either {
			t.Fatalf("%s at the dial: %v; the tables say global %v", a, atDial, global)
		}
		if plain := reading == host && host == literal(a.Unmap()); plain && (err == nil) != (atDial == nil) {
			t.Fatalf("%s: at publish %v, at the dial %v", host, err, atDial)
		}
	}
}

func literal(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// TestHostsAgainstTables is FuzzHost with addresses: random ones, and ones near the
// edges of every range, each in a spelling of somebody's.
func TestHostsAgainstTables(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := mustPolicy(t, PolicyOptions{})
	var edges []netip.Addr
	for _, rows := range oracleRows {
		for _, r := range rows {
			first, _ := netip.AddrFromSlice(r.first)
			last, _ := netip.AddrFromSlice(r.last)
			for _, a := range []netip.Addr{first, first.Prev(), last, last.Next()} {
				if a.IsValid() {
					edges = append(edges, a)
				}
			}
		}
	}
	for _, a := range edges {
		judge(t, p, literal(a.Unmap()))
	}
	for range 20_000 {
		a := edges[rnd.IntN(len(edges))]
		if rnd.IntN(2) == 0 {
			b := a.AsSlice()
			for i := range b {
				if rnd.IntN(3) == 0 {
					b[i] = byte(rnd.Uint32())
				}
			}
			a, _ = netip.AddrFromSlice(b)
		}
		judge(t, p, spell(rnd, a))
	}
}

// spell writes an address in one of the ways that some program reads.
func spell(rnd *rand.Rand, a netip.Addr) string {
	s := literal(a)
	if a.Is4() {
		b := a.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		forms := []string{"%d", "0x%x", "0%o", "0X%X"}
		part := func(n uint32) string { return fmt.Sprintf(forms[rnd.IntN(len(forms))], n) }
		switch rnd.IntN(8) {
		case 0:
			s = part(v)
		case 1:
			s = part(v>>24) + "." + part(v&0xffffff)
		case 2:
			s = part(v>>24) + "." + part(v>>16&255) + "." + part(v&0xffff)
		case 3:
			s = part(v>>24) + "." + part(v>>16&255) + "." + part(v>>8&255) + "." + part(v&255)
		case 4:
			s = strings.Map(func(r rune) rune {
				if r == '.' {
					return '。'
				}
				return r - '0' + '０'
			}, s)
		case 5:
			s = "[::ffff:" + s + "]"
		case 6:
			s = fmt.Sprintf("[0:0:0:0:0:FFFF:%X:%X]", v>>16, v&0xffff)
		}
	} else if rnd.IntN(3) == 0 {
		s = "[" + strings.ToUpper(a.StringExpanded()) + "]"
	} else if rnd.IntN(3) == 0 {
		s = strings.TrimSuffix(s, "]") + "%25eth0]"
	}
	switch rnd.IntN(8) {
	case 0:
		s += "."
	case 1:
		s += ":80"
	case 2:
		s = "good.example@" + s
	case 3:
		s = strings.Replace(s, ".", ".0", 1)
	}
	return s
}
