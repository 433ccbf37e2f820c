package wirecheck

import (
	"bytes"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
)

// shapes holds what was found right. The validator compiles a schema anew for each value,
// and a suite that publishes a thousand messages need not pay for that a thousand times.
type shapes struct {
	seed maphash.Seed

	mu   sync.Mutex
	seen map[uint64]struct{}
}

// shape is a hash of all that is checked of an exchange, the digits in it taken for one
// and the same: what differs between two of a kind are ids, times and counts.
func (s *shapes) shape(op *Operation, e *Exchange) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	add := func(parts ...string) {
		for _, p := range parts {
			h.Write(bytes.Map(sameDigit, []byte(p))) //nolint:errcheck // it never fails
			h.WriteByte(0)                           //nolint:errcheck
		}
	}
	add(e.Method, op.Path, e.Target)
	h.WriteByte(byte(e.Status % 251)) //nolint:errcheck
	for _, header := range []map[string][]string{e.Header, e.Answer} {
		for _, name := range slices.Sorted(maps.Keys(header)) {
			add(name)
			add(header[name]...)
		}
	}
	add(string(e.Content))
	if op.takesJSON() {
		add(string(e.Body))
	}
	return h.Sum64()
}

func sameDigit(r rune) rune {
	if '0' <= r && r <= '9' {
		return '0'
	}
	return r
}

func (s *shapes) has(shape uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.seen[shape]
	return there
}

func (s *shapes) add(shape uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[shape] = struct{}{}
}
