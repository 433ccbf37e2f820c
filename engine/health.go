package engine

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/wal"
)

// Health is what an operator should know beside Ready. Damage does not stop the
// server (W7).
type Health struct {
	// Damaged are the places in the log that the scrub, or a backup, found to be
	// not as they were written, in the order found; at most damagedMax of them.
	Damaged []DamagedRange
	// DamagedRanges counts them all, those above damagedMax too, up to knownMax.
	DamagedRanges int
	// DamagedMessages counts the deliveries since the start that found their message
	// damaged and made it a dead letter, and the ticks that found their schedule damaged,
	// each of which is tried again every minute.
	DamagedMessages int64
}

// DamagedRange is one damaged place.
type DamagedRange struct {
	Segment string `json:"segment"`
	Offset  int64  `json:"offset"`
	Meaning string `json:"meaning"`
	Lost    int    `json:"lost_records"` // at least
}

// damagedMax bounds what Health lists, knownMax what it counts: behind that many
// places the log holds more damage than a list could help with.
const (
	damagedMax = 100
	knownMax   = 100_000
)

type health struct {
	messages atomic.Int64

	mu     sync.Mutex
	known  map[damagedPlace]struct{}
	ranges []DamagedRange
}

type damagedPlace struct {
	segment string
	offset  int64
}

// Health returns what is known now.
func (e *Engine) Health() Health {
	h := &e.health
	h.mu.Lock()
	defer h.mu.Unlock()
	return Health{Damaged: slices.Clone(h.ranges), DamagedRanges: len(h.known), DamagedMessages: h.messages.Load()}
}

// note remembers a place and says whether it was known. Holds mu.
func (h *health) note(place damagedPlace, r *DamagedRange) (known bool) {
	if _, known = h.known[place]; known || len(h.known) == knownMax {
		return true
	}
	if h.known == nil {
		h.known = map[damagedPlace]struct{}{}
	}
	h.known[place] = struct{}{}
	if len(h.ranges) < damagedMax {
		h.ranges = append(h.ranges, *r)
	}
	return false
}

// noteDamage tells about a damaged place, once.
func (e *Engine) noteDamage(d *wal.Damage) {
	h := &e.health
	place := damagedPlace{d.Segment, d.Offset}
	r := DamagedRange{Segment: d.Segment, Offset: d.Offset, Meaning: d.Meaning}
	for _, l := range d.Lost {
		r.Lost += max(l.Records, 1)
	}
	h.mu.Lock()
	known := h.note(place, &r)
	h.mu.Unlock()
	if !known {
		e.notify(Notice{Kind: NoticeDamage, Damaged: &r})
		e.opts.Logger.Error("engine: the log is damaged; the server runs on. Run `tidemill wal verify` to see what is affected; "+
			"`tidemill wal repair`, with the server stopped, sets it aside",
			slog.String("segment", r.Segment), slog.Int64("offset", r.Offset), slog.String("meaning", r.Meaning), slog.Int("lost_records", r.Lost))
	}
}
