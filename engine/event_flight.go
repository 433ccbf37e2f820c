package engine

import "slices"

// addFlights adds ACTIVE of the attempts that are under way, which have no place in history
// yet: they are the newest events there are. Latest first they begin the first page,
// earliest first they end the last one. What is not on such a page for want of room is in
// history when its attempt has ended.
//
// They are looked at after history was, so none of them is in the page already: an
// attempt's outcome is logged after it has left the flights.
func (s *eventScan) addFlights() error {
	if s.q.Earliest && s.more || !s.q.Earliest && s.given || s.f.states>>EventActive&1 == 0 {
		return nil
	}
	list, err := s.flights()
	if err != nil || len(list) == 0 {
		return err
	}
	if s.q.Earliest {
		s.append(list)
		return nil
	}
	slices.Reverse(list)
	s.prepend(list[:min(len(list), s.count)])
	return nil
}

// append puts them at the end, on a page of their own if this one has too little room.
func (s *eventScan) append(list []eventRef) {
	if len(s.page) > 0 && len(s.page)+len(list) > s.count {
		s.next, s.more = placeOf(s.seen, 0), true
		return
	}
	s.page = append(s.page, list[:min(len(list), s.count)]...)
}

// prepend puts them at the beginning. What then does not fit is on the next page.
func (s *eventScan) prepend(list []eventRef) {
	if room := s.count - len(list); len(s.page) > room {
		s.next, s.more = s.page[room].at, true
		s.page = s.page[:room]
	}
	s.page = append(list, s.page...)
}

// flights returns the attempts under way that the query selects, earliest first. Of
// messages that were published after the page was read there is nothing to tell yet.
func (s *eventScan) flights() (list []eventRef, err error) {
	for _, f := range s.e.workers.flights.of(s.q.User) {
		if f.seq >= s.seen || s.names != nil && !s.names[messageName{f.seq, f.nonce}] {
			continue
		}
		row := &eventRow{user: uint32(f.user), seq: f.seq, nonce: f.nonce, pos: f.pos, len: f.len}
		ref := eventRef{at: placeOf(s.seen, 0), time: f.start, state: EventActive, row: row, attempt: f.attempt}
		if !s.f.selectsTime(f.start) {
			continue
		}
		if row.created, err = s.origin(row, nil); err != nil {
			return nil, err
		}
		if s.f.selectsPublished(row.created) {
			list = append(list, ref)
		}
	}
	return list, nil
}
