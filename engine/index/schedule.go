package index

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/record"
)

// A schedule has a 'c' row, which its definition writes, and a 'k' row, which says
// how far it has come since. Both are written blindly: a definition says all that
// the ticks before it said, and takes their row away.

// Schedule is a schedule's row.
type Schedule struct {
	User    uint32
	ID      string
	Pos     uint64 // where its definition stands
	Len     uint32 // of the payload there
	Paused  bool
	Jitter  uint32 // ms
	Rule    uint64 // record.Schedule.Rule
	Created int64  // unix ms

	record.Ticks
	Error string // why the newest tick published nothing, "" if it did
}

const (
	ticksSize    = 40
	scheduleSize = 8 + 4 + 1 + 4 + 8 + 8 + ticksSize
)

func appendTicks(dst []byte, t *record.Ticks) []byte {
	for _, v := range [...]uint64{uint64(t.Last), uint64(t.Next), uint64(t.Run), t.RunSeq, t.RunNonce} {
		dst = be.AppendUint64(dst, v)
	}
	return dst
}

func decodeTicks(v []byte) record.Ticks {
	return record.Ticks{
		Last: int64(be.Uint64(v)), Next: int64(be.Uint64(v[8:])), Run: int64(be.Uint64(v[16:])),
		RunSeq: be.Uint64(v[24:]), RunNonce: be.Uint64(v[32:]),
	}
}

func decodeSchedule(key, v []byte, s *Schedule) error {
	if len(key) < 6 || len(v) < scheduleSize || v[12] > 1 {
		return errBadValue
	}
	*s = Schedule{
		User: be.Uint32(key[1:]), ID: string(key[5:]), Pos: be.Uint64(v), Len: be.Uint32(v[8:]), Paused: v[12] == 1,
		Jitter: be.Uint32(v[13:]), Rule: be.Uint64(v[17:]), Created: int64(be.Uint64(v[25:])), Ticks: decodeTicks(v[33:]),
		Error: string(v[scheduleSize:]),
	}
	return nil
}

// schedule applies a definition.
func (a *Applier) schedule(lsn uint64, p []byte) error {
	var s record.Schedule
	if err := record.DecodeSchedule(p, &s); err != nil {
		return err
	}
	a.lose(s.Old, s.OldLen)
	a.gain(lsn, uint32(len(p)))
	a.val = be.AppendUint32(be.AppendUint64(a.val[:0], lsn), uint32(len(p)))
	a.val = append(a.val, byte(s.Flags&record.FlagPaused))
	a.val = be.AppendUint64(be.AppendUint32(a.val, s.Jitter), s.Rule())
	a.val = append(appendTicks(be.AppendUint64(a.val, uint64(s.Created)), &s.Ticks), s.Error...)
	a.key = namedKey(a.key, kindSchedule, s.User, []byte(s.ID))
	if err := a.batch.Set(a.key, a.val, nil); err != nil {
		return err
	}
	a.key[0] = kindTick
	if err := a.batch.Delete(a.key, nil); err != nil || s.DedupKey == [16]byte{} {
		return err
	}
	return a.dedup(s.User, &s.DedupKey, s.Defined, append(appendDedup(nil, dedupSchedule, lsn, 0, s.Defined), s.ID...))
}

func (a *Applier) dropSchedule(p []byte) error {
	var d record.DropSchedule
	if err := record.DecodeDropSchedule(p, &d); err != nil {
		return err
	}
	a.lose(d.Old, d.OldLen)
	a.key = namedKey(a.key, kindSchedule, d.User, []byte(d.ID))
	if err := a.batch.Delete(a.key, nil); err != nil {
		return err
	}
	a.key[0] = kindTick
	return a.batch.Delete(a.key, nil)
}

// tick applies what says how far a schedule has come without publishing.
func (a *Applier) tick(lsn uint64, p []byte) error {
	var k record.Tick
	if err := record.DecodeTick(p, &k); err != nil {
		return err
	}
	if err := a.missed(lsn, &k); err != nil {
		return err
	}
	return a.setTicks(k.User, []byte(k.ID), &k.Ticks, k.Error)
}

// messageTick applies what a message says of the schedule that it comes from. nonce is
// the message's own, which the head of a fan-out does not have.
func (a *Applier) messageTick(lsn, nonce uint64, h record.MessageHead) error {
	id, k, ok, err := h.Tick()
	if !ok || err != nil {
		return err
	}
	t := record.Ticks{Last: k.Time, Next: k.Next, Run: k.Time, RunSeq: lsn, RunNonce: nonce}
	return a.setTicks(h.User(), id, &t, "")
}

func (a *Applier) setTicks(user uint32, id []byte, t *record.Ticks, text string) error {
	a.key = namedKey(a.key, kindTick, user, id)
	a.val = append(appendTicks(a.val[:0], t), text...)
	return a.batch.Set(a.key, a.val, nil)
}

// Schedules calls fn with every schedule, those of one account together and in the
// order of their ids. The row is valid during the call.
func (x *Index) Schedules(fn func(*Schedule) error) error {
	return x.schedules([]byte{kindSchedule}, []byte{kindSchedule + 1}, fn)
}

// UserSchedules is Schedules of one account.
func (x *Index) UserSchedules(user uint32, fn func(*Schedule) error) error {
	lower, upper := namedRange(kindSchedule, user)
	return x.schedules(lower, upper, fn)
}

// schedules walks both kinds of rows beside one another, as of one moment.
func (x *Index) schedules(lower, upper []byte, fn func(*Schedule) error) error {
	leave, err := x.enter()
	if err != nil {
		return err
	}
	defer leave()
	moment := x.db.NewSnapshot()
	defer moment.Close()
	ticks, err := moment.NewIter(&pebble.IterOptions{LowerBound: []byte{kindTick}, UpperBound: []byte{kindTick + 1}})
	if err != nil {
		return err
	}
	defer ticks.Close()
	at := append([]byte{kindTick}, lower[1:]...)
	ticks.SeekGE(at)
	return iterate(moment, lower, upper, false, func(k, v []byte) (bool, error) {
		var s Schedule
		if err := decodeSchedule(k, v, &s); err != nil {
			return false, err
		}
		for ticks.Valid() && bytes.Compare(ticks.Key()[1:], k[1:]) < 0 {
			ticks.Next()
		}
		if ticks.Valid() && bytes.Equal(ticks.Key()[1:], k[1:]) {
			if err := s.progress(ticks.Value()); err != nil {
				return false, err
			}
		}
		if err := ticks.Error(); err != nil {
			return false, err
		}
		return true, fn(&s)
	})
}

// progress takes a tick's row.
func (s *Schedule) progress(v []byte) error {
	if len(v) < ticksSize {
		return errBadValue
	}
	s.Ticks, s.Error = decodeTicks(v), string(v[ticksSize:])
	return nil
}

// Schedule returns one schedule.
func (x *Index) Schedule(user uint32, id string) (s Schedule, ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return s, false, err
	}
	defer leave()
	moment := x.db.NewSnapshot()
	defer moment.Close()
	key := namedKey(nil, kindSchedule, user, []byte(id))
	ok, err = get(moment, key, func(v []byte) error { return decodeSchedule(key, v, &s) })
	if !ok || err != nil {
		return s, ok, err
	}
	key[0] = kindTick
	_, err = get(moment, key, s.progress)
	return s, true, err
}
