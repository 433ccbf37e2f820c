package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// replays are the replays of all accounts, in memory and, as records, in the log.
type replays struct {
	change sync.Mutex    // held by a change of a state, and over each append
	signal chan struct{} // there are some to be started

	mu struct {
		sync.RWMutex
		byUser  map[UserID][]*replay // oldest first
		count   int
		running int
		starts  []*replay // running ones that nobody runs yet
	}
}

// replay is one of them.
type replay struct {
	job   record.Job    // guarded by replays.mu; changed by who holds replays.change, too
	pos   uint64        // where its newest record stands; guarded by replays.change
	gone  bool          // that record says that it is forgotten: none may follow; guarded by replays.change
	ended chan struct{} // closed when it is to run no longer
}

// load takes the replays of accounts that there are. Those of accounts that were deleted
// go with the segments that they stand in.
func (rs *replays) load(x *index.Index, users *userSet) error {
	rs.signal = make(chan struct{}, 1)
	rs.mu.byUser = map[UserID][]*replay{}
	err := x.Jobs(func(pos uint64, p []byte) error {
		r := &replay{pos: pos, ended: make(chan struct{})}
		if err := record.DecodeJob(p, &r.job); err != nil {
			return err
		}
		if users.byID[UserID(r.job.User)] != nil {
			rs.addLocked(r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load replays: %w", err)
	}
	for _, list := range rs.mu.byUser {
		slices.SortFunc(list, func(a, b *replay) int {
			return cmp.Or(cmp.Compare(a.job.Created, b.job.Created), cmp.Compare(a.job.ID, b.job.ID))
		})
	}
	return nil
}

// addLocked takes a replay in, to be started if it runs.
func (rs *replays) addLocked(r *replay) {
	u := UserID(r.job.User)
	rs.mu.byUser[u] = append(rs.mu.byUser[u], r)
	rs.mu.count++
	if r.job.State == record.JobRunning {
		rs.mu.running++
		rs.mu.starts = append(rs.mu.starts, r)
	}
}

func (rs *replays) findLocked(u UserID, id string) *replay {
	for _, r := range rs.mu.byUser[u] {
		if replayID(r.job.ID) == id {
			return r
		}
	}
	return nil
}

// runs says whether an account has a replay that runs.
func (rs *replays) runs(u UserID) bool {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	return slices.ContainsFunc(rs.mu.byUser[u], func(r *replay) bool { return r.job.State == record.JobRunning })
}

// toStart returns those that are to be started.
func (rs *replays) toStart() []*replay {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	starts := rs.mu.starts
	rs.mu.starts = nil
	return starts
}

// start logs a new job and has it started.
func (rs *replays) start(e *Engine, job *record.Job) error {
	rs.change.Lock()
	defer rs.change.Unlock()
	if err := rs.makeRoom(e, UserID(job.User)); err != nil {
		return err
	}
	r := &replay{job: *job, ended: make(chan struct{})}
	if err := rs.log(e, r, job); err != nil {
		return err
	}
	rs.mu.Lock()
	rs.addLocked(r)
	rs.mu.Unlock()
	select {
	case rs.signal <- struct{}{}:
	default:
	}
	return nil
}

// makeRoom checks the bounds of replays, and forgets an account's oldest that has ended.
// rs.change is held.
func (rs *replays) makeRoom(e *Engine, u UserID) error {
	rs.mu.RLock()
	list, count, running := rs.mu.byUser[u], rs.mu.count, rs.mu.running
	mine, oldest := 0, -1
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].job.State == record.JobRunning {
			mine++
		} else {
			oldest = i
		}
	}
	rs.mu.RUnlock()
	switch {
	case mine >= ReplaysRunningMax:
		return quotaError("quota of running replays exceeded. Maximum allowed: %d", ReplaysRunningMax)
	case running >= replaysRunning:
		return fmt.Errorf("%w: %d replays of all accounts are running", ErrOverloaded, running)
	case len(list) < ReplaysKeptMax && count < replaysMax:
		return nil
	case oldest < 0:
		return quotaError("quota of replays exceeded. Maximum allowed: %d", replaysMax)
	}
	gone := list[oldest].job
	gone.State = record.JobGone
	if err := rs.log(e, list[oldest], &gone); err != nil {
		return err
	}
	list[oldest].gone = true
	rs.mu.Lock()
	rs.mu.byUser[u] = slices.Delete(slices.Clone(list), oldest, oldest+1)
	rs.mu.count--
	rs.mu.Unlock()
	return nil
}

// stop ends a replay for its owner.
func (rs *replays) stop(e *Engine, u UserID, id string) error {
	rs.change.Lock()
	defer rs.change.Unlock()
	rs.mu.RLock()
	r := rs.findLocked(u, id)
	rs.mu.RUnlock()
	if r == nil {
		return ErrNotFound
	}
	return rs.end(e, r, record.JobStopped, "")
}

// finish ends a replay for who runs it. If that cannot be logged it is found unfinished
// by the next start, with nothing left to do.
func (rs *replays) finish(e *Engine, r *replay, s record.JobState, why string) {
	rs.change.Lock()
	defer rs.change.Unlock()
	if err := rs.end(e, r, s, why); err != nil && e.fatalErr.Load() == nil && !errors.Is(err, ErrClosed) {
		e.opts.Logger.Warn("engine: the end of a replay is not logged", "replay", replayID(r.job.ID), "error", err)
	}
}

// end logs that a replay has ended. rs.change is held.
func (rs *replays) end(e *Engine, r *replay, s record.JobState, why string) error {
	rs.mu.RLock()
	job := r.job
	rs.mu.RUnlock()
	if job.State != record.JobRunning {
		return nil
	}
	job.State, job.Error, job.Updated = s, why, e.wallMillis()
	if err := rs.log(e, r, &job); err != nil {
		return err
	}
	rs.mu.Lock()
	r.job.State, r.job.Error, r.job.Updated = job.State, job.Error, job.Updated // its counts may have grown meanwhile
	rs.mu.running--
	rs.mu.Unlock()
	close(r.ended)
	return nil
}

// log logs a state of a job, and waits until it is on disk. rs.change is held.
func (rs *replays) log(e *Engine, r *replay, job *record.Job) error {
	lsn, err := e.log.Append(job.Append(nil))
	if lsn == 0 {
		return refusal(err)
	}
	if errors.Is(err, wal.ErrStalled) {
		err = e.log.Commit() // memory must say what the log says: this waits for as long as the disk takes
	}
	if err != nil {
		return logError(err)
	}
	r.pos = uint64(lsn)
	return nil
}

// keep logs how far a replay has come. Nobody waits for that: without it the next start
// does a little again.
func (rs *replays) keep(e *Engine, r *replay, class wal.Class) error {
	rs.change.Lock()
	defer rs.change.Unlock()
	if r.gone {
		return nil
	}
	rs.mu.RLock()
	job := r.job
	rs.mu.RUnlock()
	t, err := e.log.Reserve(job.Size(), class)
	if err != nil {
		return err
	}
	fill(&t, job.Append(t.Buf[:0]))
	e.log.Done(&t)
	r.pos = uint64(t.LSN)
	return nil
}

// keepReplay logs a job again if its newest record is the one at lsn (W10).
func (e *Engine) keepReplay(lsn uint64, p []byte) error {
	var j record.Job
	if err := record.DecodeJob(p, &j); err != nil {
		return err
	}
	rs := &e.replays
	rs.mu.RLock()
	r := rs.findLocked(UserID(j.User), replayID(j.ID))
	rs.mu.RUnlock()
	if r == nil {
		return nil
	}
	rs.change.Lock()
	newest := r.pos == lsn
	rs.change.Unlock()
	if !newest {
		return nil
	}
	if err := rs.keep(e, r, wal.Reclaiming); err != nil {
		return err
	}
	e.reclaimer.moved.Add(int64(len(p)))
	return e.log.Commit()
}
