package engine

import (
	"errors"

	"github.com/tidemill/tidemill/wal"
)

// simRoom is how much room the simulator's disk has, and what came of it.
//
// An episode begins with no room or next to none; the engine may hear of it by and
// by, as it does between two looks at the file system. Bodies are longer then, so
// that the log comes to its end and not the run. What is refused must say why; all
// that the simulator checks must hold as ever.
type simRoom struct {
	free int64
	full bool // as the core was told

	episodes, refusals, unlogged, stuck int
	wasStuck                            bool
}

const simPlenty = 1 << 40

func (r *simRoom) scarce() bool { return r.free < simPlenty }

func (r *simRoom) bodyMax() int {
	if r.scarce() {
		return 60_000
	}
	return 600
}

// randomBody returns a body; now and then one that is long enough to be compressed, and
// can be.
func (s *sim) randomBody() []byte {
	limit, period := s.room.bodyMax(), 1<<20
	if s.rng.IntN(8) == 0 {
		limit, period = max(limit, 8000), 100
	}
	b := make([]byte, s.rng.IntN(limit))
	for i := range b {
		if i >= period {
			b[i] = b[i-period]
		} else {
			b[i] = byte(s.rng.Uint32())
		}
	}
	return b
}

func (r *simRoom) started(m *simMessage, cmd *startCommand) {
	if cmd.attempt > int(cmd.row.Tries)+1 {
		r.unlogged++
	}
}

func (r *simRoom) add(s *simRoom) {
	r.episodes += s.episodes
	r.refusals += s.refusals
	r.unlogged += s.unlogged
	r.stuck += s.stuck
}

// changeRoom fills the disk, or makes room.
func (s *sim) changeRoom() {
	if s.room.scarce() {
		s.setFree(simPlenty)
		return
	}
	s.room.episodes++
	s.commit()
	s.setFree(s.rng.Int64N(2) * s.rng.Int64N(1<<20))
	if s.rng.IntN(3) == 0 {
		s.look()
	}
}

func (s *sim) setFree(n int64) {
	s.note("room", uint64(n))
	s.room.free = n
	s.disk.SetFree(n)
}

// look is what watchSpace does every spacePoll.
func (s *sim) look() {
	e := s.e
	e.space.look()
	if err := e.space.ballast.grow(e.space.free.Load(), e.space.floor.Load()); err != nil && !isFull(err) {
		s.fail("the ballast: %v", err)
	}
	if now := e.log.Full() != nil; now != s.room.full {
		s.room.full = now
		e.inbox.push(event{kind: evFull, found: now})
	}
	if err := e.logOutcomes(nil); err != nil {
		s.fail("log outcomes in hand: %v", err)
	}
	if e.stuck && !s.room.wasStuck {
		s.room.stuck++
	}
	s.room.wasStuck = e.stuck
}

// refused takes the error of a request: on a full disk it may be refused.
func (s *sim) refused(what string, err error) {
	if !errors.Is(err, ErrDiskFull) || s.room.episodes == 0 {
		s.fail("%s: %v", what, err)
	}
	s.room.refusals++
}

// leaveSome leaves a crashed server the room that it needs to start, for a segment
// and for what Pebble writes to open its files: without it, it refuses to.
func (s *sim) leaveSome() {
	s.disk.SetFree(max(s.room.free, 768<<10))
}

// noRoom takes an error of the log that is allowed on a disk that was full.
func (s *sim) noRoom(what string, err error) {
	if s.room.episodes == 0 || !errors.Is(err, wal.ErrNoSpace) {
		s.fail("%s: %v", what, err)
	}
}

// opened starts anew: what an engine knows of the room ends with it.
func (s *sim) opened() { s.room.full, s.room.wasStuck = false, false }
