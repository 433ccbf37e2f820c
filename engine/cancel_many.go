package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// CancelQuery selects the messages that CancelMany ends: those of MessageIDs if there
// are any, else those that the rest of the filter selects, oldest first.
type CancelQuery struct {
	Filter
	Count int             // at most; 0: all
	Stop  <-chan struct{} // closed: the call ends after the page at hand; nil: never
}

// Bounds of CancelMany. A page is what it holds, and what waits for one group of the log
// at a time; deliveries of others go on between two.
const (
	cancelPage = 1024
	cancelScan = 64 << 10 // rows that one page looks at, most of them of other accounts

	// CancelTime is how long a call goes on. What it has ended by then is ended; what is
	// left is for another call.
	CancelTime = time.Minute
)

// CancelMany ends pending messages of an account, as Cancel does each, and says how many.
// Those that are not there, or have ended, count for nothing. It sees what was published
// before it began and nothing later, so that it ends. More is true if CancelTime had
// passed, or Stop was closed, before it came to the last of them. With an error those that n counts have ended.
//
// One page of rows is in memory at a time, and one record where the filter asks for what
// rows do not have. A message whose record is damaged is selected only by what its row has.
func (e *Engine) CancelMany(u UserID, q *CancelQuery) (n int, more bool, err error) {
	if err := e.Ready(); err != nil {
		return 0, false, err
	}
	if err := e.catchUp(); err != nil {
		return 0, false, err
	}
	w := canceler{e: e, user: u, until: e.opts.Wall().Add(CancelTime), stop: q.Stop, left: q.Count}
	if len(q.MessageIDs) > 0 {
		more, err = w.cancelIDs(q.MessageIDs)
		return w.canceled, more, err
	}
	more, err = w.cancelSelected(newRowFilter(u, &q.Filter), uint64(e.log.Durable().LSN))
	return w.canceled, more, err
}

// canceler is one call of CancelMany.
type canceler struct {
	e        *Engine
	user     UserID
	until    time.Time
	stop     <-chan struct{}
	left     int // of CancelQuery.Count, 0: all
	canceled int
	page     []pendingID
	buf      []byte // of records
}

// pendingID names a message.
type pendingID struct{ seq, nonce uint64 }

// late says whether the call is to end before its next page.
func (w *canceler) late() bool {
	select {
	case <-w.stop:
		return true
	default:
		return w.e.opts.Wall().After(w.until)
	}
}

// cancelIDs ends the messages with these ids, each counted once. What is no id is the id
// of no message.
func (w *canceler) cancelIDs(ids []string) (more bool, err error) {
	all := make([]pendingID, 0, len(ids))
	for _, id := range ids {
		if seq, nonce, err := parseMessageID(id); err == nil {
			all = append(all, pendingID{seq, nonce})
		}
	}
	slices.SortFunc(all, func(a, b pendingID) int { return cmp.Compare(a.seq, b.seq) })
	for page := range slices.Chunk(slices.Compact(all), cancelPage) {
		if w.late() {
			return true, nil
		}
		w.page = page
		if err := w.cancelPage(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// cancelSelected ends what f selects of the messages below an LSN.
func (w *canceler) cancelSelected(f *rowFilter, below uint64) (more bool, err error) {
	for from, done := uint64(0), false; !done; {
		if w.late() {
			return true, nil
		}
		if from, done, err = w.readPage(f, from, below); err == nil {
			err = w.cancelPage()
		}
		if err != nil {
			return false, err
		}
		if w.left > 0 && len(w.page) > 0 && w.canceled >= w.left {
			return false, nil
		}
	}
	return false, nil
}

// readPage fills w.page from the seq from on, and returns where the next page begins.
func (w *canceler) readPage(f *rowFilter, from, below uint64) (next uint64, done bool, err error) {
	limit := cancelPage
	if w.left > 0 {
		limit = min(limit, w.left-w.canceled)
	}
	w.page = w.page[:0]
	var rows []record.Row
	seen, next := 0, below
	err = w.e.idx.PendingFrom(from, func(r *record.Row) (bool, error) {
		if r.Seq >= below {
			return false, nil
		}
		if len(rows) == limit || seen == cancelScan {
			next = r.Seq
			return false, nil
		}
		if seen++; r.Pull.Published == 0 && f.row(r) { // pull queues have calls of their own
			rows = append(rows, *r)
		}
		return true, nil
	})
	if err != nil {
		return 0, false, indexError(err)
	}
	for i := range rows {
		ok, err := w.selects(f, &rows[i])
		if err != nil {
			return 0, false, err
		}
		if ok {
			w.page = append(w.page, pendingID{rows[i].Seq, rows[i].Nonce})
		}
	}
	return next, next == below, nil
}

// selects says whether f selects a message whose row it has not refused.
func (w *canceler) selects(f *rowFilter, r *record.Row) (bool, error) {
	if f.isAll {
		return true, nil
	}
	p, err := w.e.readMoved(r, w.buf)
	switch damage := (*wal.CorruptionError)(nil); {
	case errors.Is(err, errEnded), errors.As(err, &damage):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the record at %d: %w", r.Pos, err)
	}
	w.buf = p[:0]
	if p, err = record.Unwrap(p); err != nil {
		return false, nil //nolint:nilerr // damaged: see CancelMany
	}
	var m record.Message
	if _, err := record.OpenMessage(p, r.Nonce, &m); err != nil {
		return false, nil //nolint:nilerr // damaged: see CancelMany
	}
	return f.message(&m), nil
}

// cancelPage ends the messages of w.page, all with the same group of the log or a few.
func (w *canceler) cancelPage() error {
	if len(w.page) == 0 {
		return nil
	}
	got := make(chan error, len(w.page))
	done := func(err error) { got <- err }
	for _, id := range w.page {
		req := &cancelRequest{user: w.user, seq: id.seq, nonce: id.nonce, done: done}
		w.e.inbox.push(event{kind: evCancel, req: req})
	}
	var failed error
	for range w.page {
		select {
		case err := <-got:
			switch {
			case err == nil:
				w.canceled++
			case !errors.Is(err, ErrNotFound):
				failed = err
			}
		case <-w.e.stop:
			return ErrClosed
		}
	}
	return failed
}
