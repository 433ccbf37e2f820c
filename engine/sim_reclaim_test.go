package engine

import (
	"errors"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/wal"
)

// simReclaim is a segment that is being given up.
type simReclaim struct {
	segment  wal.SegmentInfo // Size is zero if none is
	next     wal.LSN         // where the log would begin then
	open     int             // moves that were not answered
	complete bool
}

// reclaimSteps takes one step, or so many with so little between them that copies are
// copied again.
func (s *sim) reclaimSteps() {
	s.reclaimStep()
	if s.rng.IntN(8) > 0 {
		return
	}
	for i := 0; i < 12 && s.failed == nil; i++ {
		s.commit()
		s.apply()
		s.read()
		s.advance(0)
		s.reclaimStep()
	}
}

// reclaimStep does the next thing that reclaiming would do: it begins a segment, asks
// for the moves of the oldest one, or gives that up when all have been made. The
// message's life goes on between these steps.
func (s *sim) reclaimStep() {
	r := &s.reclaim
	switch {
	case r.segment.Size > 0 && r.open > 0: // the core has not answered yet
	case r.segment.Size > 0:
		s.finishReclaim()
	case s.rng.IntN(2) == 0:
		s.rotate()
	default:
		s.beginReclaim()
	}
}

func (s *sim) rotate() {
	s.commit()
	err := s.e.log.Rotate()
	if errors.Is(err, wal.ErrNoSpace) && s.room.episodes > 0 {
		return // the disk is full, or was at the last look
	}
	if err != nil {
		s.fail("rotate: %v", err)
		return
	}
	s.e.applier.forget.Store(uint64(s.e.log.First()))
	s.note("rotate", uint64(s.e.log.First()))
}

func (s *sim) beginReclaim() {
	if s.room.scarce() {
		return // a flush of the index waits for room
	}
	if err := s.e.idx.Flush(); err != nil {
		s.fail("flush: %v", err)
		return
	}
	p, err := s.e.idx.Checkpoint()
	if err != nil {
		s.fail("checkpoint: %v", err)
		return
	}
	segments := s.e.log.Segments()
	if n, _ := reclaimable(segments, 0, 0, wal.LSN(p.LSN)); n == 0 {
		return
	}
	r, seg := &s.reclaim, segments[0]
	*r = simReclaim{segment: seg, next: segments[1].First, complete: true}
	complete, err := s.e.evacuate(seg, func(batch *survivors) (bool, error) {
		for _, req := range batch.pending {
			r.open++
			s.copied++
			s.e.requestMove(req, func(err error) {
				r.open--
				r.complete = r.complete && err == nil
			})
		}
		for _, req := range batch.schedules {
			r.open++
			s.e.requestKeep(req, func(err error) {
				r.open--
				r.complete = r.complete && err == nil
			})
		}
		for _, req := range batch.flows {
			r.open++
			s.e.requestKeepFlow(req, func(err error) {
				r.open--
				r.complete = r.complete && err == nil
			})
		}
		s.copied += len(batch.dead) + len(batch.groups)
		if err := s.e.moveGroups(batch.groups); err != nil {
			return false, err
		}
		return s.e.moveDead(batch.dead)
	})
	if errors.Is(err, wal.ErrNoSpace) && s.room.episodes > 0 {
		complete = false // as reclaimLoop takes it: later
	} else if err != nil {
		s.fail("reclaim: %v", err)
	}
	r.complete = r.complete && complete
	s.note("reclaim", uint64(seg.First))
}

// finishReclaim gives the segment up if nothing in it counts any more. The log may
// let it go now or with a later segment.
func (s *sim) finishReclaim() {
	r := s.reclaim
	s.reclaim = simReclaim{}
	if !r.complete {
		return
	}
	s.commit()
	s.applyAll()
	if err := s.e.giveUp(r.next); err != nil {
		s.fail("give up: %v", err)
		return
	}
	s.reclaimed++
	if s.rng.IntN(2) == 0 {
		s.rotate()
	}
}

// loseIndex removes the index: all but dedup ids must be found in the log again.
func (s *sim) loseIndex() {
	if err := s.disk.RemoveAll(s.disk.PathJoin("data", "index")); err != nil {
		s.fail("remove the index: %v", err)
		return
	}
	s.rebuilt++
	clear(s.dedup)
	s.forgot = true
}

// checkStands is S11.
func (s *sim) checkStands(pos uint64, n int) {
	if _, err := s.e.readRecord(pos, n); err != nil {
		s.fail("S11: the index names %d, which cannot be read: %v", pos, err)
	}
}

// checkDead is S11 for dead letters.
func (s *sim) checkDead(d *index.Dead) (bool, error) {
	s.checkStands(d.Pos, int(d.Row.Len))
	s.checkStands(d.Out, int(d.Len))
	return true, nil
}
