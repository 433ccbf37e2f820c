package engine

// Events calls fn with one page of events (QSTASH.md §8.2) and returns the cursor of the
// next, "" at the end. It sees everything that was answered before. A page may be short, or
// empty, and still have a cursor: one call looks at a bounded part of history and shows
// bounded bytes. Pages that are read one after the other, each from the cursor of the one
// before, show no event twice and skip none that was there when the first was read, whatever
// is written or trimmed meanwhile; a cursor of what is trimmed goes on at the beginning of
// what is kept.
//
// fn may wait for a client that reads slowly; ev is valid during the call. An error of fn
// ends the page and is returned.
func (e *Engine) Events(q *EventQuery, fn func(ev *Event) error) (cursor string, err error) {
	return e.events(q, eventDefaults, fn)
}

func (e *Engine) events(q *EventQuery, limits eventLimits, fn func(ev *Event) error) (string, error) {
	s, err := e.newEventScan(q, limits)
	if err != nil {
		return "", err
	}
	if err = e.catchUp(); err == nil {
		err = s.run()
	}
	if err == nil {
		err = s.addFlights()
	}
	if err == nil {
		err = s.show(fn)
	}
	if err != nil || !s.more {
		return "", err
	}
	return s.next.String(), nil
}

// EventsSince is Events earliest first, of what has become visible, without attempts under
// way, and with a cursor at the end, too: where the next call goes on. It waits for nothing.
func (e *Engine) EventsSince(q *EventQuery, fn func(ev *Event) error) (cursor string, err error) {
	following := *q
	following.Earliest = true
	s, err := e.newEventScan(&following, eventFollowing)
	if err == nil {
		err = s.run()
	}
	if err == nil {
		err = s.show(fn)
	}
	if err != nil {
		return q.Cursor, err
	}
	if !s.more {
		s.next = max(s.from, placeOf(s.seen, 0), s.last)
	}
	return s.next.String(), nil
}

// EventsEnd returns the cursor from which EventsSince shows only what becomes visible after
// this call.
func (e *Engine) EventsEnd() string { return placeOf(e.idx.Applied(), 0).String() }

// show calls fn with the events of the page, until it has shown as many bytes as one
// answer may have.
func (s *eventScan) show(fn func(ev *Event) error) error {
	r := eventReader{e: s.e, messages: map[uint64]*Message{}}
	for i := range s.page {
		ref := &s.page[i]
		ref.row.dead = s.deads[ref.row.seq]
		var ev Event
		if err := r.read(ref, &ev); err != nil {
			return err
		}
		if r.bytes > s.limits.bytes && i > 0 {
			s.next, s.more = ref.at, true
			return nil
		}
		if err := fn(&ev); err != nil {
			return err
		}
		s.page[i] = eventRef{} // a page of long texts may be large
	}
	return nil
}
