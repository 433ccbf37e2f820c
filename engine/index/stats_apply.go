package index

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/engine/record"
)

const (
	// openAccountsMax bounds the accounts that have counts open, some 3 KiB each. With
	// more of them, all counts are closed at the end of the batch.
	openAccountsMax = 4096

	// lateSeconds is how much older than what is open an event may be to be counted with
	// it. Events come in the order of the log, which is that of time but for what waited
	// for the disk; one that is older still says that the clock was set back.
	lateSeconds = 5
)

// accounts are the statistics as the open batch will leave them.
type accounts struct {
	byUser map[uint32]*account
	last   *account   // of the last event: most come in runs
	dirty  []*account // in the order of their first change
	open   int        // how many have counts open
	free   []*openCounts
	now    int64 // unix s, of the last event
	swept  int64 // the minute, unix s, as of which idle accounts were closed

	minutes []closedMinute
	seconds []closedSecond
	buf     []byte // pieces of minutes
}

// account is what is known of one account: 48 bytes, and its openCounts.
type account struct {
	user    uint32
	pending uint64 // messages
	open    *openCounts
	dirty   bool
	stored  bool // there is a row
}

type openCounts struct {
	second [2]openSecond // by whether the second is even
	minute counts[uint32]
	at     int64 // unix s: which minute
	used   bool
}

type openSecond struct {
	counts[uint32]
	at   int64 // unix s
	used bool
}

type closedMinute struct {
	user uint32
	at   int64
	piece
}

// account returns an account's statistics, to be changed.
func (a *Applier) account(user uint32) *account {
	s := &a.accounts
	acc := s.last
	if acc == nil || acc.user != user {
		if acc = s.byUser[user]; acc == nil {
			acc = &account{user: user}
			s.byUser[user] = acc
		}
		s.last = acc
	}
	if !acc.dirty {
		acc.dirty = true
		s.dirty = append(s.dirty, acc)
	}
	return acc
}

// pend counts pending messages of an account in or out.
func (a *Applier) pend(user uint32, n int) {
	if acc := a.account(user); n > 0 || acc.pending > 0 {
		acc.pending += uint64(n)
		a.pendingSeen.Add(int64(n))
	}
}

// countPublish counts a message that was published at a time, unix ms.
func (a *Applier) countPublish(user uint32, created int64) {
	acc := a.account(user)
	c := a.accounts.at(acc, created)
	c.published++
	c.backlog = acc.pending
}

// countOutcome counts the end of an attempt, or a cancel. Latency is of the attempt that
// delivered, lateness of each that began: both from when it was due.
func (a *Applier) countOutcome(o *record.Outcome) {
	acc := a.account(o.User)
	c := a.accounts.at(acc, o.At)
	c.backlog = acc.pending
	if op := o.Step.Op; op != 0 && op != record.PullPush {
		c.pulled(o)
		return
	}
	switch o.Kind {
	case record.Canceled:
		c.canceled++
		return
	case record.Delivered:
		c.delivered++
		c.latency[bucketOf(o.At-o.Due)]++
	case record.Retry:
		c.retried++
	case record.Dead:
		c.failed++
	}
	if o.Attempt > 0 {
		c.lateness[bucketOf(o.At-int64(o.Took)-o.Due)]++
	}
}

// pulled counts what a consumer did to a message of a pull queue. A lease is no attempt at
// a destination: there is nothing that it was late for.
func (c *counts[T]) pulled(o *record.Outcome) {
	switch {
	case o.Kind == record.Delivered:
		c.delivered++
	case o.Kind == record.Dead:
		c.failed++
	case o.Kind == record.Canceled:
		c.canceled++
	case o.Step.Op == record.PullReceive && o.Attempt > 1:
		c.retried++
	}
}

// at returns the open counts of a time, unix ms.
func (s *accounts) at(acc *account, ms int64) *counts[uint32] {
	sec := max(ms, 0) / 1000
	s.now = sec
	if acc.open == nil {
		acc.open = s.newOpen()
	}
	c := &acc.open.second[sec&1]
	if !c.used || c.at != sec {
		c = s.openSecond(acc, c, sec)
	}
	return &c.counts
}

// openSecond returns the counts of another second than c is of, in c's place or as c.
func (s *accounts) openSecond(acc *account, c *openSecond, sec int64) *openSecond {
	if c.used && sec < c.at && c.at-sec <= lateSeconds {
		return c
	}
	if other := &acc.open.second[1-sec&1]; other.used && other.at < sec-1 {
		s.closeSecond(acc, other)
	}
	s.closeSecond(acc, c)
	c.at, c.used = sec, true
	return c
}

func (s *accounts) newOpen() *openCounts {
	s.open++
	if n := len(s.free); n > 0 {
		o := s.free[n-1]
		s.free = s.free[:n-1]
		*o = openCounts{}
		return o
	}
	return new(openCounts)
}

// closeSecond adds what a second counted to its minute.
func (s *accounts) closeSecond(acc *account, c *openSecond) {
	if !c.used {
		return
	}
	s.seconds = append(s.seconds, closedSecond{user: acc.user, at: c.at, piece: appendPiece(nil, c.at, 1, &c.counts)})
	addCounts(s.minute(acc, c.at), &c.counts)
	*c = openSecond{}
}

// minute returns the open counts of the minute that a second is of.
func (s *accounts) minute(acc *account, sec int64) *counts[uint32] {
	o := acc.open
	if at := sec - sec%minuteSeconds; !o.used || o.at != at {
		s.closeMinute(acc)
		o.at, o.used = at, true
	}
	return &o.minute
}

// closeMinute notes what a minute counted, for the batch to be written.
func (s *accounts) closeMinute(acc *account) {
	o := acc.open
	if !o.used {
		return
	}
	from := len(s.buf)
	s.buf = appendPiece(s.buf, o.at, minuteSeconds, &o.minute)
	s.minutes = append(s.minutes, closedMinute{acc.user, o.at, piece{from, len(s.buf)}})
	o.minute, o.used = counts[uint32]{}, false
}

// closeAll closes all that an account has open, the older second first.
func (s *accounts) closeAll(acc *account) {
	first, second := &acc.open.second[0], &acc.open.second[1]
	if second.at < first.at {
		first, second = second, first
	}
	s.closeSecond(acc, first)
	s.closeSecond(acc, second)
	s.closeMinute(acc)
	s.free = append(s.free, acc.open)
	acc.open = nil
	s.open--
}

// sweep closes what idle accounts have open, once a minute, and everything if there are
// too many.
func (a *Applier) sweep() {
	s := &a.accounts
	minute, full := s.now/minuteSeconds, s.open > openAccountsMax
	if minute == s.swept && !full {
		return
	}
	s.swept = minute
	for _, user := range slices.Sorted(maps.Keys(s.byUser)) { // no map order reaches the disk
		acc := s.byUser[user]
		if acc.open != nil && (full || acc.open.newest()/minuteSeconds != minute) {
			a.account(user)
			s.closeAll(acc)
		}
	}
	s.free = s.free[:min(len(s.free), openAccountsMax)]
}

// newest returns the newest second that is open, unix s.
func (o *openCounts) newest() int64 {
	at := max(o.second[0].at, o.second[1].at)
	if o.used {
		at = max(at, o.at)
	}
	return at
}

// fillAccounts writes what the batch changed.
func (a *Applier) fillAccounts() error {
	a.sweep()
	s := &a.accounts
	for _, m := range s.minutes {
		a.key = minuteKey(a.key, m.user, m.at)
		if err := a.batch.Merge(a.key, s.buf[m.from:m.to], nil); err != nil {
			return err
		}
	}
	s.minutes, s.buf = s.minutes[:0], s.buf[:0]
	for _, acc := range s.dirty {
		if err := a.setAccount(acc); err != nil {
			return err
		}
	}
	s.dirty = s.dirty[:0]
	return nil
}

func (a *Applier) setAccount(acc *account) error {
	acc.dirty = false
	a.key = accountKey(a.key, acc.user)
	if acc.pending > 0 || acc.open != nil {
		acc.stored = true
		a.val = appendAccount(a.val[:0], acc)
		return a.batch.Set(a.key, a.val, nil)
	}
	if a.accounts.last == acc {
		a.accounts.last = nil
	}
	delete(a.accounts.byUser, acc.user)
	if !acc.stored {
		return nil
	}
	return a.batch.Delete(a.key, nil)
}

func appendAccount(dst []byte, acc *account) []byte {
	dst = binary.AppendUvarint(dst, acc.pending)
	o := acc.open
	if o == nil {
		return dst
	}
	if o.used {
		dst = appendPiece(dst, o.at, minuteSeconds, &o.minute)
	}
	for i := range o.second {
		if c := &o.second[i]; c.used {
			dst = appendPiece(dst, c.at, 1, &c.counts)
		}
	}
	return dst
}

// loadAccounts continues where the index is. What was open of seconds is counted with
// its minute: of seconds nobody knows after a restart whether they are whole.
func (a *Applier) loadAccounts() error {
	s := &a.accounts
	s.byUser = map[uint32]*account{}
	newest := int64(-1)
	err := a.x.scan(accountKey(nil, 0), []byte{kindStats, statsAccount + 1}, func(k, v []byte) error {
		if len(k) != 6 {
			return errBadValue
		}
		acc := a.account(be.Uint32(k[2:]))
		acc.stored = true
		r := rowReader{b: v}
		acc.pending = r.uint()
		a.pendingSeen.Add(int64(acc.pending))
		for len(r.b) > 0 && !r.bad {
			at, _ := pieceAt(&r)
			if acc.open == nil {
				acc.open = s.newOpen()
			}
			addPiece(&r, s.minute(acc, at))
			newest = max(newest, at)
		}
		if r.bad {
			return fmt.Errorf("statistics of account %d: %w", acc.user, errBadValue)
		}
		return nil
	})
	a.x.seconds.begin(newest, a.history.second, a.x.start.LSN == 0)
	return err
}
