package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Reclaiming (W10). The log is one contiguous range, and space is taken from its
// oldest end only, so that an outcome outlives every copy of what it ends. What
// still counts in the oldest segments (pending messages, dead letters, accounts)
// is copied to the head, and once the copies are durable and the index shows them,
// the log is told where it begins now (wal.Log.SetFloor).
//
// What counts is found by reading every record of the segment, checksums included,
// beside a walk over the index. The index's counts of live bytes only say when it
// pays.

const (
	reclaimMax   = 16 // segments in one round
	reclaimPause = time.Minute

	// idleRounds is how many rounds a floor waits for the next segment to carry it
	// before one is begun for its sake. When as many segments wait, it does not wait
	// longer: a server that is killed every few seconds begins a segment each time.
	// Nor on a full disk, where they are what there is to go on with.
	idleRounds  = 5
	waitingMost = 4

	// One batch of copies: they are in the log's open group together.
	moveBatchCount = 256
	moveBatchBytes = 4 << 20
)

// reclaimable returns how many of the oldest segments are to be given up: as many
// as are beyond what the log may take, of those that the index's durable position
// has passed (must). blocked says that it is this position that stops it.
func reclaimable(segments []wal.SegmentInfo, limit, recordMax int64, durable wal.LSN) (n int, blocked bool) {
	used := int64(0)
	for i := range segments {
		used += takes(&segments[i], recordMax)
	}
	for n < min(len(segments)-1, reclaimMax) && used > limit {
		if !segments[n].Sealed || segments[n].End > durable {
			return n, true
		}
		used -= takes(&segments[n], recordMax)
		n++
	}
	return n, false
}

// takes returns the bytes of a segment that may be better used. The rest behind its
// end counts, since a restart or a rotation ends a segment early, but not one that the
// next record may have been too long for: copies would leave it again, and records
// longer than a quarter of a segment would be moved for ever.
func takes(s *wal.SegmentInfo, recordMax int64) int64 {
	if n := int64(s.End - s.First); s.Sealed && n > s.Size/2 && s.Size-n <= recordMax {
		return n
	}
	return s.Size
}

// reclaimer is the state of the goroutine that reclaims.
type reclaimer struct {
	floor  wal.LSN    // given up below, not taken by the log yet
	rounds int        // since it was
	pause  time.Time  // nothing is tried before: the last round met damage
	hold   sync.Mutex // held over each rise of the floor, and by who must not see one
	users  map[UserID]userCopy
	moved  atomic.Int64
	growth growth
}

// reclaimLoop is the reclaimer.
func (e *Engine) reclaimLoop() {
	tick := time.NewTicker(e.opts.reclaimEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		}
		if time.Now().Before(e.reclaimer.pause) {
			continue
		}
		err := e.reclaim()
		if errors.Is(err, wal.ErrNoSpace) {
			continue // no room for a copy, or for the segment to carry the floor, now
		}
		if err != nil && !e.stopping() && e.fatalErr.Load() == nil {
			e.reclaimer.pause = time.Now().Add(reclaimPause)
			e.opts.Logger.Error("engine: the log's oldest segment cannot be reclaimed; the log grows until that is mended; if it is damage, run `tidemill wal verify`", "error", err)
		}
	}
}

// reclaim is one round: it gives up what is to be given up now.
func (e *Engine) reclaim() error {
	if err := e.publishFloor(); err != nil {
		return err
	}
	n, segments, err := e.planReclaim()
	if n == 0 || err != nil {
		return err
	}
	done := 0
	for ; done < n && err == nil; done++ {
		var complete bool
		if complete, err = e.evacuate(segments[done], e.moveAndWait); !complete {
			break
		}
	}
	if done == 0 || err != nil {
		return err
	}
	return e.giveUp(segments[done].First)
}

// planReclaim says how many of the segments to give up. It makes the index durable
// if that is what it takes.
func (e *Engine) planReclaim() (int, []wal.SegmentInfo, error) {
	segments := e.log.Segments()
	for len(segments) > 0 && segments[0].First < e.reclaimer.floor {
		segments = segments[1:] // given up before, and to go with the next segment
	}
	old, err := e.oldEnough(segments)
	if old == 0 || err != nil {
		return 0, nil, err
	}
	limit, recordMax := logLimit(e.applier.a.LiveBytes(), e.opts.SegmentSize, e.reclaimRatio()), int64(e.limits.Load().recordMax())
	if n, _ := reclaimable(segments, limit, recordMax, math.MaxUint64); n == 0 {
		return 0, nil, nil
	}
	for again := false; ; again = true {
		p, err := e.idx.Checkpoint()
		if err != nil {
			return 0, nil, err
		}
		n, blocked := reclaimable(segments, limit, recordMax, wal.LSN(p.LSN))
		if n > 0 || !blocked || again || segments[0].End > wal.LSN(e.idx.Applied()) {
			return min(n, old), segments, nil
		}
		if err := e.idx.Flush(); err != nil {
			return 0, nil, err
		}
	}
}

// giveUp tells the log that nothing below first is needed any more. It waits for the
// copies to be durable: nobody did for those of queues.
func (e *Engine) giveUp(first wal.LSN) error {
	if err := e.log.Commit(); err != nil {
		return err
	}
	if err := e.waitApplied(uint64(e.log.Durable().LSN)); err != nil {
		return err
	}
	e.reclaimer.hold.Lock()
	err := e.log.SetFloor(first)
	e.reclaimer.hold.Unlock()
	if err != nil {
		return err
	}
	if first > e.reclaimer.floor {
		e.reclaimer.floor, e.reclaimer.rounds = first, 0
	}
	return nil
}

// publishFloor has the log begin a new segment if one that was given up waits for
// that, and tells the index once the log has taken it.
func (e *Engine) publishFloor() error {
	r := &e.reclaimer
	if r.floor == 0 {
		return nil
	}
	if e.log.First() < r.floor {
		n := e.waiting(r.floor)
		if r.rounds++; n < 2 || n < waitingMost && r.rounds < idleRounds && e.log.Full() == nil {
			return nil
		}
		if err := e.log.Rotate(); err != nil {
			return err
		}
	}
	r.floor = 0
	e.applier.forget.Store(uint64(e.log.First()))
	e.applier.wake()
	return nil
}

// waiting counts the segments below the floor that are still there.
func (e *Engine) waiting(floor wal.LSN) int {
	n := 0
	for _, s := range e.log.Segments() {
		if s.First < floor {
			n++
		}
	}
	return n
}

// survivors are what is to be copied to the head.
type survivors struct {
	pending   []*moveRequest
	dead      []deadMove
	schedules []*scheduleRequest
	flows     []*flowRequest
	groups    []*group
	bytes     int
}

func (s *survivors) len() int {
	return len(s.pending) + len(s.dead) + len(s.schedules) + len(s.flows) + len(s.groups)
}

// deadMove is one record of a dead letter.
type deadMove struct {
	key    index.DeadKey
	what   record.What
	old    uint64
	oldLen uint32
	record []byte
}

func (s *survivors) full() bool {
	return s.len() >= moveBatchCount || s.bytes >= moveBatchBytes
}

// evacuate copies what still counts in a segment to the head: in batches, each
// handed to move. It is complete when nothing is left; else the segment is looked
// at again in the next round.
func (e *Engine) evacuate(seg wal.SegmentInfo, move func(*survivors) (bool, error)) (complete bool, err error) {
	st, err := e.idx.Standing(uint64(seg.First), uint64(seg.End))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	complete, batch := true, &survivors{}
	hand := func() error {
		ok, err := move(batch)
		complete = complete && ok
		batch = &survivors{}
		return err
	}
	err = e.log.ReadSegment(seg.First, func(lsn wal.LSN, p []byte) error {
		if err := e.survivor(st, uint64(lsn), p, batch); err != nil || !batch.full() {
			return err
		}
		return hand()
	})
	if err == nil && batch.len() > 0 {
		err = hand()
	}
	return complete && err == nil, err
}

// survivor adds a record to the batch if it still counts.
func (e *Engine) survivor(st *index.Standing, lsn uint64, p []byte, batch *survivors) error {
	t, err := record.TypeOf(p)
	if err != nil {
		return fmt.Errorf("reclaim the record at %d: %w", lsn, err)
	}
	switch t {
	case record.TypeMessage:
		h, err := record.HeadOfMessage(p)
		if err != nil {
			return err
		}
		return e.messageSurvivor(st, publication{lsn, h.Nonce(), uint32(len(p))}, lsn, p, batch)
	case record.TypeFanout:
		_, err := record.EachMember(p, func(i int, m *record.MemberHead) error {
			return e.messageSurvivor(st, publication{lsn + uint64(i), m.Nonce, m.Share}, lsn, p, batch)
		})
		return err
	case record.TypeOutcome:
		return e.outcomeSurvivor(st, lsn, p, batch)
	case record.TypeMove:
		return e.movedSurvivor(st, lsn, p, batch)
	case record.TypeUser:
		return e.keepUser(wal.LSN(lsn), p)
	case record.TypeToken:
		return e.keepToken(lsn, p)
	case record.TypeDropUser:
		return e.keepDropUser(lsn, p)
	case record.TypeQueue:
		return e.keepQueue(lsn, p)
	case record.TypeFlow:
		var f record.Flow
		if err := record.DecodeFlow(p, &f); err != nil {
			return err
		}
		batch.bytes += len(p)
		batch.flows = append(batch.flows, &flowRequest{ask: flowKeep, user: f.User, key: f.Key, keep: lsn})
	case record.TypeSchedule:
		var d record.Schedule
		if err := record.DecodeSchedule(p, &d); err != nil {
			return err
		}
		return e.keepSchedule(lsn, &d, len(p), batch)
	case record.TypePullQueue:
		return e.keepPull(lsn, p)
	case record.TypeGroup:
		return e.keepGroup(lsn, p, batch)
	case record.TypeJob:
		return e.keepReplay(lsn, p)
	}
	return nil
}

// publication is one message that a record publishes.
type publication struct {
	seq, nonce uint64
	share      uint32 // bytes of the payload that count for it
}

// outcomeSurvivor looks at the callbacks that an outcome publishes, and at the dead letter
// that it makes.
func (e *Engine) outcomeSurvivor(st *index.Standing, lsn uint64, p []byte, batch *survivors) error {
	var o record.Outcome
	if err := record.DecodeOutcomeHead(p, &o); err != nil {
		return err
	}
	if o.Kind == record.Dead && !plant.Bug("outcome-left-behind") {
		err := e.deadSurvivor(index.DeadKey{User: o.User, LSN: lsn}, record.MoveDeadOutcome, lsn, len(p), p, batch)
		if err != nil {
			return err
		}
	}
	return record.EachCallback(p, func(n int, h record.MessageHead, _ []byte) error {
		return e.messageSurvivor(st, publication{lsn + 1 + uint64(n), h.Nonce(), record.CallbackShare(p)}, lsn, p, batch)
	})
}

// keepSchedule has the core log a schedule's definition again if this is its newest.
// The copy says how far the schedule has come; what said so before stands behind the
// definition, so no other record of a schedule needs to be kept.
func (e *Engine) keepSchedule(lsn uint64, d *record.Schedule, n int, batch *survivors) error {
	row, ok, err := e.idx.Schedule(d.User, d.ID)
	if err != nil || !ok || row.Pos != lsn || plant.Bug("schedule-left-behind") {
		return err
	}
	batch.bytes += n
	batch.schedules = append(batch.schedules, &scheduleRequest{ask: askKeep, key: scheduleKey{d.User, d.ID}, keep: lsn})
	return nil
}

// messageSurvivor adds the record at lsn if it is needed for a message that it publishes.
func (e *Engine) messageSurvivor(st *index.Standing, m publication, lsn uint64, p []byte, batch *survivors) error {
	pending, k, err := st.At(m.seq, lsn)
	if err != nil {
		return err
	}
	if k != (index.DeadKey{}) {
		return e.deadSurvivor(k, record.MoveDeadMessage, lsn, int(m.share), p, batch)
	}
	if pending {
		batch.addPending(m.seq, m.nonce, lsn, int(m.share), p)
	}
	return nil
}

// movedSurvivor looks at what was moved before. A message that was pending then may
// be a dead letter now; one that is neither has ended for good, since both are looked
// up as of one moment.
func (e *Engine) movedSurvivor(st *index.Standing, lsn uint64, p []byte, batch *survivors) error {
	var m record.Move
	if err := record.DecodeMove(p, &m); err != nil || plant.Bug("moved-once-is-enough") {
		return err
	}
	if m.What == record.MoveDeadOutcome {
		return e.deadSurvivor(index.DeadKey{User: m.User, LSN: m.Dead}, m.What, lsn, len(p), m.Record, batch)
	}
	_, k, err := st.At(lsn, lsn)
	if err != nil {
		return err
	}
	if k != (index.DeadKey{}) {
		return e.deadSurvivor(k, record.MoveDeadMessage, lsn, len(p), m.Record, batch)
	}
	row, ok, err := st.Row(m.Seq)
	if err != nil || !ok || row.Pos != lsn {
		return err
	}
	batch.addPending(m.Seq, m.Nonce, lsn, len(p), m.Record)
	return nil
}

func (s *survivors) addPending(seq, nonce, old uint64, oldLen int, rec []byte) {
	s.bytes += len(rec)
	s.pending = append(s.pending, &moveRequest{seq: seq, nonce: nonce, old: old, oldLen: uint32(oldLen), record: bytes.Clone(rec)})
}

// deadSurvivor adds the message or the outcome of a dead letter, which takes n bytes
// at lsn, if it still stands there.
func (e *Engine) deadSurvivor(k index.DeadKey, what record.What, lsn uint64, n int, rec []byte, batch *survivors) error {
	m := deadMove{key: k, what: what, old: lsn, oldLen: uint32(n)}
	d, ok, err := e.idx.Dead(k.User, k.LSN)
	if err != nil || !ok || !m.stands(&d) {
		return err
	}
	m.record = bytes.Clone(rec)
	batch.bytes += len(rec)
	batch.dead = append(batch.dead, m)
	return nil
}

// stands says whether the dead letter's row still names the record.
func (m *deadMove) stands(d *index.Dead) bool {
	if m.what == record.MoveDeadOutcome {
		return d.Out == m.old
	}
	return d.Pos == m.old
}

// moveAndWait copies a batch and returns when the copies are durable. It is not
// complete if something could not be copied now.
func (e *Engine) moveAndWait(s *survivors) (complete bool, err error) {
	answers := make(chan error, len(s.pending)+len(s.schedules)+len(s.flows))
	for _, req := range s.pending {
		e.requestMove(req, func(err error) { answers <- err })
	}
	for _, req := range s.schedules {
		e.requestKeep(req, func(err error) { answers <- err })
	}
	for _, req := range s.flows {
		e.requestKeepFlow(req, func(err error) { answers <- err })
	}
	complete, lasting := e.moveDead(s.dead)
	if err := e.moveGroups(s.groups); err != nil {
		complete, lasting = false, cmp.Or(lasting, err)
	}
	for range cap(answers) {
		select {
		case err := <-answers:
			complete = complete && err == nil
			lasting = cmp.Or(lasting, tooLong(err))
		case <-e.stop:
			return false, ErrClosed
		}
	}
	return complete, lasting
}

// tooLong returns the one reason why a copy cannot be made that trying again does not
// change, nil for any other.
func tooLong(err error) error {
	if !errors.Is(err, wal.ErrTooLarge) {
		return nil
	}
	return fmt.Errorf("%w: set log.segment-size to what it was, or more", err)
}

// requestMove hands one pending message to the core, which answers once.
func (e *Engine) requestMove(req *moveRequest, done func(error)) {
	req.done = done
	e.inbox.push(event{kind: evMove, move: req})
}

// requestKeep hands a record of a schedule to the core, which answers once.
func (e *Engine) requestKeep(req *scheduleRequest, done func(error)) {
	req.done = done
	e.inbox.push(event{kind: evSchedule, schedule: req})
}

// requestKeepFlow hands the state of a flow-control key to the core, which logs it again
// if this is its newest, and answers once.
func (e *Engine) requestKeepFlow(req *flowRequest, done func(error)) {
	req.done = done
	e.inbox.push(event{kind: evFlow, flow: req})
}

// logMove appends the copy of a pending message.
func (e *Engine) logMove(cmd *moveCommand) error {
	req := cmd.req
	_, err := e.appendMove(&record.Move{
		Row: cmd.row, Old: req.old, OldLen: req.oldLen, What: record.MovePending, Record: req.record,
	})
	return err
}

func (e *Engine) appendMove(m *record.Move) (wal.LSN, error) {
	t, err := e.log.Reserve(m.Size(), wal.Reclaiming)
	if err != nil {
		return 0, err
	}
	fill(&t, m.Append(t.Buf[:0]))
	e.log.Done(&t)
	e.reclaimer.moved.Add(int64(m.Size()))
	return t.LSN, nil
}

// claimedDead is a dead letter that is claimed while records of it are copied.
type claimedDead struct {
	row index.Dead // as the copies leave it
	lsn wal.LSN    // of the newest copy
}

// moveDead copies records of dead letters. Each is claimed meanwhile, so that no
// delete or retry overtakes the copy; one that is claimed by such is left for the
// next round.
func (e *Engine) moveDead(moves []deadMove) (complete bool, err error) {
	if len(moves) == 0 {
		return true, nil
	}
	held := map[claim]*claimedDead{}
	complete = true
	var lasting error
	for i := range moves {
		ok, err := e.moveOneDead(&moves[i], held)
		complete = complete && ok && err == nil
		lasting = cmp.Or(lasting, tooLong(err))
	}
	err = e.log.Commit()
	for k, d := range held { // in any order: nobody sees it
		if err != nil || d.lsn == 0 {
			e.claims.drop(k)
		} else {
			e.claims.done(k, uint64(d.lsn))
		}
	}
	return complete, cmp.Or(err, lasting)
}

// moveOneDead appends a copy, unless the dead letter has gone or was moved. held are
// those that this batch has claimed.
func (e *Engine) moveOneDead(m *deadMove, held map[claim]*claimedDead) (ok bool, err error) {
	k := claim{UserID(m.key.User), m.key.LSN}
	d := held[k]
	if d == nil {
		if !e.claims.takeToMove(k) {
			return false, nil
		}
		d = new(claimedDead)
		held[k] = d
		if d.row, ok, err = e.idx.Dead(m.key.User, m.key.LSN); err != nil || !ok {
			return err == nil, err
		}
	}
	if !m.stands(&d.row) {
		return true, nil
	}
	lsn, err := e.appendMove(&record.Move{
		Row: d.row.Row, Dead: d.row.LSN, Old: m.old, OldLen: m.oldLen, What: m.what, Record: m.record,
	})
	if err != nil {
		return false, err
	}
	d.lsn = lsn
	n := uint32(record.MoveOverhead + len(m.record))
	if m.what == record.MoveDeadOutcome {
		d.row.Out, d.row.Len = uint64(lsn), n
	} else {
		d.row.Pos, d.row.Row.Len = uint64(lsn), n
	}
	return true, nil
}

// userCopy is an account's newest record as reclaiming logged it.
type userCopy struct {
	lsn  wal.LSN
	user record.User
}

// keepUser logs an account again if this is its newest record, and no copy of that
// was logged before: a segment may hold several, and is looked at again when a
// round was not complete. Copies of copies would fill the log.
func (e *Engine) keepUser(lsn wal.LSN, p []byte) error {
	var u record.User
	if err := record.DecodeUser(p, &u); err != nil {
		return err
	}
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	now := e.users.set.Load().byID[UserID(u.ID)]
	if now == nil || *now != u {
		return nil
	}
	if c := e.reclaimer.users[UserID(u.ID)]; c.lsn > lsn && c.user == u {
		return nil
	}
	at, err := e.copyDefinition(p)
	if err != nil {
		return err
	}
	if e.reclaimer.users == nil {
		e.reclaimer.users = map[UserID]userCopy{}
	}
	e.reclaimer.users[UserID(u.ID)] = userCopy{wal.LSN(at), u}
	return nil
}
