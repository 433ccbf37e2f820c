package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// LeaseRetry is a lease that is given up: the message can be received again after Delay.
type LeaseRetry struct {
	Lease
	Delay time.Duration
}

// A lease id is "lse_", the digits of the message's id and those of the lease's number: it
// finds the message by itself.
const (
	leasePrefix = "lse_"
	leaseDigits = 11 // of 8 bytes
)

func leaseID(seq, nonce, lease uint64) string {
	var out [len(leasePrefix) + idDigits + leaseDigits]byte
	copy(out[:], leasePrefix)
	putBase58(out[len(leasePrefix):len(leasePrefix)+idDigits], seq, nonce)
	putBase58(out[len(leasePrefix)+idDigits:], 0, lease)
	return string(out[:])
}

// parse returns the message that a lease is of, and its number: 0 if only the message is
// named.
func (l *Lease) parse() (seq, nonce, lease uint64, err error) {
	id := l.MessageID
	if l.ID != "" {
		s, ok := strings.CutPrefix(l.ID, leasePrefix)
		if !ok || len(s) != idDigits+leaseDigits || id != "" && id != idPrefix+s[:idDigits] {
			return 0, 0, 0, ErrLeaseLost
		}
		var high uint64
		// As many leading digits of 0 as make it the length of an id.
		high, lease, err = parseMessageID(idPrefix + strings.Repeat(alphabet[:1], idDigits-leaseDigits) + s[idDigits:])
		if err != nil || high != 0 || lease == 0 {
			return 0, 0, 0, ErrLeaseLost
		}
		id = idPrefix + s[:idDigits]
	}
	if seq, nonce, err = parseMessageID(id); err != nil {
		return 0, 0, 0, ErrNotFound
	}
	return seq, nonce, lease, nil
}

// Receive returns up to limit messages of a queue under leases of this length (0: the
// queue's), and waits up to wait for the first one. The leases are durable when it returns.
// When ctx ends before, what it got a lease of meanwhile can be received again at once. A
// damaged message is left out; it comes up again when its lease is over.
func (e *Engine) Receive(ctx context.Context, u UserID, name string, limit int, wait, visibility time.Duration) ([]PullMessage, error) {
	d := e.pulls.get(u, name)
	switch {
	case d == nil:
		return nil, ErrNotFound
	case d.URL != "":
		return nil, ErrPushQueue
	case limit < 1 || limit > PullBatchMax:
		return nil, limitError("max_messages must be from 1 to %d", PullBatchMax)
	case wait < 0 || wait > PullWaitMax:
		return nil, limitError("wait_seconds must be from 0 to %d", int64(PullWaitMax/time.Second))
	case visibility != 0 && (visibility < time.Second || visibility > PullVisibilityMax):
		return nil, limitError("visibility_seconds must be from 1 to %d", int64(PullVisibilityMax/time.Second))
	}
	if err := errors.Join(e.Ready(), e.syncAnswered()); err != nil {
		return nil, err
	}
	if visibility == 0 {
		visibility = millis(int64(d.Visibility))
	}
	rows, err := e.receive(ctx, &pullReceive{
		queue: d.ID, visibility: visibility.Milliseconds(), stays: wait > 0, leases: e.drawLeases(limit),
	}, wait)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		e.giveBack(u, rows)
		return nil, ctx.Err()
	}
	return e.viewPulls(rows), nil
}

func (e *Engine) drawLeases(n int) []uint64 {
	leases, c := make([]uint64, n), new(chance)
	for i := range leases {
		leases[i] = max(c.draw(e.opts.Rand), 1)
	}
	return leases
}

// pullGrace is how long a consumer that does not want to wait does so for pages that may
// hold what it asks for: after a start everything is in the index alone.
const pullGrace = time.Second

// receive has a consumer wait for what there is.
func (e *Engine) receive(ctx context.Context, req *pullReceive, wait time.Duration) (rows []record.Row, err error) {
	answered := make(chan struct{})
	req.done = func(got []record.Row, failed error) {
		rows, err = got, failed
		close(answered)
	}
	e.inbox.push(event{kind: evReceive, receive: req})
	if wait == 0 {
		wait = pullGrace
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-answered:
		return rows, err
	case <-timer.C:
	case <-ctx.Done():
	case <-e.stop:
		return nil, ErrClosed
	}
	e.inbox.push(event{kind: evLeave, receive: req})
	select {
	case <-answered:
		return rows, err
	case <-e.stop:
		return nil, ErrClosed
	}
}

// giveBack lets messages be received again that nobody saw.
func (e *Engine) giveBack(u UserID, rows []record.Row) {
	reqs := make([]*pullRequest, len(rows))
	for i := range rows {
		r := &rows[i]
		reqs[i] = &pullRequest{user: u, seq: r.Seq, nonce: r.Nonce, lease: r.Pull.Lease, op: record.PullReturn, done: func(error) {}}
	}
	if len(reqs) > 0 {
		e.inbox.push(event{kind: evPull, pulls: reqs})
	}
}

// viewPulls reads the messages that a consumer has received.
func (e *Engine) viewPulls(rows []record.Row) []PullMessage {
	out := make([]PullMessage, 0, len(rows))
	for i := range rows {
		var v PullMessage
		if err := e.viewPull(&rows[i], &v); err != nil {
			if !errors.Is(err, errEnded) {
				e.health.messages.Add(1)
				e.opts.Logger.Error("engine: a stored message is damaged and cannot be received. Run `tidemill wal verify`",
					"message", MessageID(rows[i].Seq, rows[i].Nonce), "error", err)
			}
			continue
		}
		out = append(out, v)
	}
	return out
}

// Ack ends messages: they were dealt with. One that has ended before is no error, if its
// lease is named. Each has its own answer; all are durable.
func (e *Engine) Ack(u UserID, leases []Lease) []error {
	acked, _ := e.settlePulls(u, 0, leases, nil)
	return acked
}

// Release gives a lease up: the message can be received again after the delay. That counts
// as an attempt that failed.
func (e *Engine) Release(u UserID, l Lease, delay time.Duration) error {
	_, released := e.settlePulls(u, 0, nil, []LeaseRetry{{l, delay}})
	return released[0]
}

// Settle is Ack and Release together, of messages of one queue. The error is about the
// queue.
func (e *Engine) Settle(u UserID, name string, acks []Lease, retries []LeaseRetry) (acked, released []error, err error) {
	d := e.pulls.get(u, name)
	if d == nil {
		return nil, nil, ErrNotFound
	}
	acked, released = e.settlePulls(u, d.ID, acks, retries)
	return acked, released, nil
}

func (e *Engine) settlePulls(u UserID, queue uint64, acks []Lease, retries []LeaseRetry) (acked, released []error) {
	reqs, errs := make([]*pullRequest, len(acks)+len(retries)), make([]error, len(acks)+len(retries))
	ask := func(i int, l *Lease, op record.PullOp, delay int64) {
		r := &pullRequest{user: u, queue: queue, op: op, delay: delay}
		if r.seq, r.nonce, r.lease, errs[i] = l.parse(); errs[i] == nil {
			reqs[i] = r
		}
	}
	for i := range acks {
		ask(i, &acks[i], record.PullAck, 0)
	}
	for i := range retries {
		r := &retries[i]
		ask(len(acks)+i, &r.Lease, record.PullRelease, ceilMillis(r.Delay))
		if r.Delay < 0 || r.Delay > PullVisibilityMax {
			reqs[len(acks)+i], errs[len(acks)+i] = nil, limitError("delay_seconds must be from 0 to %d", int64(PullVisibilityMax/time.Second))
		}
	}
	e.askPulls(reqs, errs)
	for i := range acks {
		if errors.Is(errs[i], ErrNotFound) && acks[i].ID != "" {
			errs[i] = nil
		}
	}
	return errs[:len(acks):len(acks)], errs[len(acks):]
}

// Extend has a lease last at least this long from now on, and returns when it will be
// over. It is never made shorter, and lasts for 12 hours from its receive at most.
func (e *Engine) Extend(u UserID, l Lease, visibility time.Duration) (visible time.Time, err error) {
	if visibility < time.Second || visibility > 1<<62 {
		return visible, limitError("visibility_seconds must be at least 1")
	}
	req := &pullRequest{user: u, op: record.PullExtend, delay: ceilMillis(min(visibility, PullVisibilityMax))}
	if req.seq, req.nonce, req.lease, err = l.parse(); err != nil {
		return visible, err
	}
	errs := []error{nil}
	e.askPulls([]*pullRequest{req}, errs)
	if errs[0] != nil {
		return visible, errs[0]
	}
	return millisTime(req.visible), nil
}

// askPulls has the core take requests, those that are not nil, and returns when each was
// done durably, or not, for which errs has the reason.
func (e *Engine) askPulls(reqs []*pullRequest, errs []error) {
	if err := errors.Join(e.Ready(), e.syncAnswered()); err != nil {
		for i := range reqs {
			if reqs[i] != nil {
				errs[i] = err
			}
		}
		return
	}
	done, left := make(chan struct{}), 0
	answers := make([]error, len(reqs))
	for i, r := range reqs {
		if r == nil {
			continue
		}
		left++
		r.done = func(err error) { // by the loop alone
			answers[i] = err
			if left--; left == 0 {
				close(done)
			}
		}
	}
	if left == 0 {
		return
	}
	e.inbox.push(event{kind: evPull, pulls: slices.DeleteFunc(slices.Clone(reqs), func(r *pullRequest) bool { return r == nil })})
	closed := false
	select {
	case <-done:
	case <-e.stop:
		closed = true // the loop may be writing the answers
	}
	for i, r := range reqs {
		if r != nil && closed {
			errs[i] = ErrClosed
		} else if r != nil {
			errs[i] = answers[i]
		}
	}
}

// carryPulls answers consumers, and looks up rows for them.
func (e *Engine) carryPulls(out *commands) {
	if out.urgent {
		e.log.Kick()
	}
	for _, d := range out.received {
		d.req.done(d.req.got, d.err)
	}
	for _, a := range out.pulled {
		a.req.done(a.err)
	}
	if len(out.pullRows) > 0 {
		go e.readPullRows(slices.Clone(out.pullRows))
	}
}

// readPullRows looks up the rows of messages that are not resident. Its goroutine ends with
// the requests that wait for it.
func (e *Engine) readPullRows(reqs []*pullRequest) {
	for _, req := range reqs {
		e.inbox.push(e.lookUpPull(req))
	}
}

func (e *Engine) lookUpPull(req *pullRequest) event {
	ev := event{kind: evPullRow, pull: req, err: e.waitApplied(req.after)}
	if ev.err == nil {
		ev.row, ev.found, ev.err = e.idx.Row(req.seq)
	}
	return ev
}

// viewPull makes the view of a message of a pull queue, whose record it reads.
func (e *Engine) viewPull(row *record.Row, v *PullMessage) error {
	p, err := e.readMoved(row, make([]byte, int(row.Len)+readSlack))
	if err != nil {
		return err
	}
	var m record.Message
	body, err := openMessage(p, row, &m, nil)
	if err != nil {
		return err
	}
	now := e.wallMillis()
	*v = PullMessage{
		ID: MessageID(row.Seq, row.Nonce), Body: body, Header: m.Header, Group: m.PullGroup, Attempts: int(row.Tries),
		Published: millisTime(row.Pull.Published), Visible: millisTime(row.Due), Queue: m.PullName,
	}
	if d := e.pulls.byID(row.Host); d != nil {
		v.Queue = d.Name
	}
	if row.Pull.Lease != 0 && now < row.Due {
		v.LeaseID = leaseID(row.Seq, row.Nonce, row.Pull.Lease)
	}
	if row.Pull.First != 0 {
		v.Received = millisTime(row.Pull.First)
	}
	if x := &row.Pull.Dead; *x != (record.PullDead{}) {
		v.Dead = &PullDead{Source: x.Source, Reason: pullReason(x), Attempts: int(x.Attempts), Status: int(x.Status), At: millisTime(x.At)}
	}
	return nil
}

// PullMessage returns a message of a pull queue that has not ended. It sees every publish
// that was answered before.
func (e *Engine) PullMessage(u UserID, id string) (PullMessage, error) {
	var v PullMessage
	seq, nonce, err := parseMessageID(id)
	if err != nil {
		return v, ErrNotFound
	}
	if err := e.catchUp(); err != nil {
		return v, err
	}
	row, ok, err := e.idx.Row(seq)
	switch {
	case err != nil:
		return v, indexError(err)
	case !ok || row.Nonce != nonce || UserID(row.User) != u || row.Pull.Published == 0:
		return v, ErrNotFound
	}
	if d := e.pulls.byID(row.Host); d == nil || d.gone() { // it waits for the sweeper
		return v, ErrNotFound
	}
	err = e.viewPull(&row, &v)
	switch {
	case errors.Is(err, errEnded):
		return v, ErrNotFound
	case errors.Is(err, wal.ErrNotFound) || errors.Is(err, record.ErrTruncated) || errors.Is(err, record.ErrUnknown):
		return v, errors.Join(ErrDamaged, err)
	}
	return v, err
}
