package bench

import (
	"fmt"
	"time"
)

// reopened is what one restart took, from the start of the process on.
type reopened struct {
	listening time.Duration // until requests were accepted
	delivered time.Duration // until something arrived
	caughtUp  time.Duration // until everything had arrived that was due at once
	opening
}

// restarted is what the rounds with one number of pending messages found out.
type restarted struct {
	tally
	pending    int
	duplicates int64
	rounds     []reopened
}

func newRestarted(pending int) *restarted {
	return &restarted{
		tally:   tally{side: Side{Name: fmt.Sprintf("%d pending", pending)}, hist: newHistogram()},
		pending: pending,
	}
}

// loaded notes what happened before a kill.
func (r *restarted) loaded(m *meter, out outcome) error {
	r.tally.add(m.take(), out)
	switch last := r.side.Rounds[len(r.side.Rounds)-1]; {
	case r.side.Failed*100 > r.side.Messages:
		return fmt.Errorf("%w: %d before the kill, and %d did not; the first: %w", ErrFailing, r.side.Failed, r.side.Messages, r.err)
	case last.Messages == 0:
		return fmt.Errorf("%w: no message in %v", ErrFailing, out.elapsed)
	}
	return nil
}

func (r *restarted) add(o reopened, ledgers []*ledger) {
	r.rounds = append(r.rounds, o)
	for _, l := range ledgers {
		r.duplicates += l.duplicates.Load()
	}
}

// replayLeast is how much must be replayed for seconds per GB to mean something.
const replayLeast = 16 << 20

// figures are those of row 15. Seconds per GB are the server's own, of its log past the
// index's checkpoint, and left out where no round replayed enough.
func (r *restarted) figures() []Figure {
	seconds := func(what string, of func(*reopened) time.Duration) Figure {
		f := Figure{Name: r.side.Name + ": " + what, Unit: "s"}
		for i := range r.rounds {
			f.Values = append(f.Values, of(&r.rounds[i]).Seconds())
		}
		return f
	}
	replayed := Figure{Name: r.side.Name + ": log replayed", Unit: "B"}
	perGB := Figure{Name: r.side.Name + ": recovery of the log past the checkpoint", Unit: "s/GB"}
	for i := range r.rounds {
		o := &r.rounds[i]
		replayed.Values = append(replayed.Values, float64(o.replayed))
		if o.replayed >= replayLeast {
			perGB.Values = append(perGB.Values, (o.log+o.replay).Seconds()/(float64(o.replayed)/1e9))
		}
	}
	all := []Figure{
		seconds("start to listening", func(o *reopened) time.Duration { return o.listening }),
		seconds("start to first delivery", func(o *reopened) time.Duration { return o.delivered }),
		seconds("start to all delivered that was due", func(o *reopened) time.Duration { return o.caughtUp }),
		replayed,
	}
	if len(perGB.Values) > 0 {
		all = append(all, perGB)
	}
	return all
}
