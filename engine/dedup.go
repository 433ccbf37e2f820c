package engine

import (
	"sync"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/wal"
)

// dedupTable holds the deduplication ids of messages that the index has not
// applied yet; older ones are rows. An id leaves the table only when its row can
// be read, so that none falls between the two (X5).
type dedupTable struct {
	mu   sync.Mutex
	seen map[seenKey]*seen
	line []*seen // in the order of their records, to be forgotten from the front
}

type seenKey struct {
	user uint32
	hash [16]byte
}

// seen is one publish under a deduplication id.
type seen struct {
	key     seenKey
	seq     uint64
	nonce   uint64
	members []member    // of a fan-out, of which seq and nonce are the first one's
	ticket  *wal.Ticket // nil for one that was found in the index, which is durable
}

// submitUnique stores the publish unless its id was seen within the window.
// Check and claim are one step under the table's lock.
func (e *Engine) submitUnique(m *scratchMessage) (submission, error) {
	t := &e.dedup
	t.mu.Lock()
	defer t.mu.Unlock()
	key := seenKey{m.User, m.DedupKey}
	if s := t.seen[key]; s != nil {
		return submission{duplicate: s}, nil
	}
	d, ok, err := e.idx.Dedup(m.User, &m.DedupKey, m.Created)
	if err != nil {
		return submission{}, indexError(err)
	}
	if ok && !plant.Bug("duplicate-is-stored") {
		return submission{duplicate: seenBefore(&d)}, nil
	}
	sub, err := e.logBuilt(m)
	if err != nil {
		return submission{}, err
	}
	t.add(key, &sub)
	return sub, nil
}

// seenBefore is what the index knows of an original.
func seenBefore(d *index.Deduped) *seen {
	s := &seen{seq: d.Seq, nonce: d.Nonce}
	for _, m := range d.Members {
		s.members = append(s.members, member{m.Nonce, m.URL})
	}
	return s
}

func (t *dedupTable) add(key seenKey, sub *submission) {
	copied := sub.ticket
	copied.Buf = nil
	s := &seen{key: key, seq: uint64(copied.LSN), nonce: sub.nonce, members: sub.members, ticket: &copied}
	if t.seen == nil {
		t.seen = map[seenKey]*seen{}
	}
	t.seen[key] = s
	t.line = append(t.line, s)
}

// settleDuplicate answers with the original's id, once that is durable; it fails
// when the original fails.
func (e *Engine) settleDuplicate(s *seen) (Receipt, error) {
	if s.ticket != nil {
		copied := *s.ticket
		if err := e.log.Wait(&copied); err != nil {
			return Receipt{}, logError(err)
		}
	}
	return Receipt{MessageID: MessageID(s.seq, s.nonce), Deduplicated: true}, nil
}

// applied forgets what the index knows by now.
func (t *dedupTable) applied(lsn uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.line) && t.line[n].seq < lsn {
		delete(t.seen, t.line[n].key)
		n++
	}
	if n > 0 {
		t.line = append(t.line[:0], t.line[n:]...)
	}
}
