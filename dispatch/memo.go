package dispatch

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// memoSlots bounds an OriginMemo: with the longest names there are, 300 KiB.
const memoSlots = 1024

// An OriginMemo remembers something about URLs that depends on their scheme, host and port
// alone, and that is found by taking such a URL apart: most publishes go to a few hosts. It
// is bounded: what was put last has the place. The zero value is ready. It is safe for
// concurrent use, and must not be copied after the first Put.
type OriginMemo[V any] struct {
	slots [memoSlots]atomic.Pointer[memoEntry[V]]
}

type memoEntry[V any] struct {
	origin string // as it was written: https://Example.com:443
	value  V
}

// memoSeed is drawn at each start, so that nobody can choose hosts that share a place.
var memoSeed = maphash.MakeSeed()

// Get returns what was put for a URL with this origin, in this spelling. There is nothing
// for a URL that is no legal one behind its origin: its flaw is to be found as usual.
func (m *OriginMemo[V]) Get(rawURL string) (v V, ok bool) {
	origin := originOf(rawURL)
	e := m.slot(origin).Load()
	if e == nil || e.origin != origin || len(rawURL) > MaxURLBytes || !legalBytes(rawURL[len(origin):]) {
		return v, false
	}
	return e.value, true
}

// Put remembers v for the origin of a URL that was found to be legal. It keeps nothing of
// rawURL's memory.
func (m *OriginMemo[V]) Put(rawURL string, v V) {
	origin := strings.Clone(originOf(rawURL))
	m.slot(origin).Store(&memoEntry[V]{origin, v})
}

// origins takes URLs apart and remembers what an origin comes to.
type origins struct{ memo OriginMemo[target] }

// parse is parseURL.
func (o *origins) parse(rawURL string) (target, error) {
	if t, ok := o.memo.Get(rawURL); ok {
		t.uri = requestTarget(rawURL[len(originOf(rawURL)):])
		return t, nil
	}
	t, err := parseURL(rawURL)
	if err != nil {
		return t, err
	}
	if alone, err := parseURL(strings.Clone(originOf(rawURL))); err == nil { // keeps nothing of rawURL
		o.memo.Put(rawURL, alone)
	}
	return t, nil
}

func (m *OriginMemo[V]) slot(origin string) *atomic.Pointer[memoEntry[V]] {
	return &m.slots[maphash.String(memoSeed, origin)%memoSlots]
}

// originOf returns scheme and authority of a legal URL: what stands before the path and
// the query. Of any other it is a beginning that no legal URL has for its origin.
func originOf(rawURL string) string {
	i := strings.IndexByte(rawURL, ':') + len("://")
	for ; i < len(rawURL); i++ {
		if rawURL[i] == '/' || rawURL[i] == '?' {
			return rawURL[:i]
		}
	}
	return rawURL
}

// legalBytes says whether checkURLBytes would let s pass.
func legalBytes(s string) bool {
	for i := range len(s) {
		if !legalByte[s[i]] {
			return false
		}
	}
	return true
}

var legalByte = func() (t [256]bool) {
	for c := range t {
		t[c] = checkURLBytes(string([]byte{byte(c)})) == nil
	}
	return t
}()
