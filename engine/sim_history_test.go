package engine

import (
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// simEvents is what history says of one message.
type simEvents struct {
	created, ends int
	nonce         uint64
}

// checkHistory is S12: power cuts or not, history tells of every message that was
// acked once that it was created and once how it ended, as long as the index is there.
func (s *sim) checkHistory() {
	seen := map[uint64]simEvents{}
	err := s.e.idx.History(0, false, func(h *index.History) (bool, error) {
		if h.Missed != nil {
			return true, nil
		}
		e := seen[h.Seq]
		if e.nonce = h.Nonce; h.Created != nil {
			e.created++
		}
		for i := range h.Outcomes {
			if h.Outcomes[i].Kind != record.Retry {
				e.ends++
			}
		}
		seen[h.Seq] = e
		return true, nil
	})
	if err != nil {
		s.fail("S12: history: %v", err)
	}
	if s.forgot {
		return // history lives in the index alone
	}
	for id, m := range s.messages {
		seq, nonce, err := parseMessageID(id)
		if e := seen[seq]; m.acked && (err != nil || e != simEvents{1, 1, nonce}) {
			s.fail("S12: history says of %s: %+v (%v)", id, e, err)
		}
	}
}
