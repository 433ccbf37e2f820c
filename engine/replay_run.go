package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// ReplayOfHeader is a header that a replayed message is delivered with: the id of the
// message that it repeats.
const ReplayOfHeader = "Tidemill-Replay-Of"

const (
	// A replay publishes in bursts, that each wait for the disk together: what its rate
	// gives in replayTick, at most replayBurst.
	replayTick  = 50 * time.Millisecond
	replayBurst = 256

	replayKeep  = time.Second // between two records of how far it has come
	replayRetry = time.Second // while there is no room, or the index lags
)

// replayLoop starts replays, and returns when all have ended after e.stop.
func (e *Engine) replayLoop() {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		for _, r := range e.replays.toStart() {
			running.Go(func() { e.runReplay(r) })
		}
		select {
		case <-e.replays.signal:
		case <-e.stop:
			return
		}
	}
}

// replayRun is one replay that runs; it has a goroutine.
type replayRun struct {
	e         *Engine
	r         *replay
	job       record.Job // as it was at the start: what to replay, and how fast
	filter    Filter
	selection *replaySelection
	burst     int
	next      time.Time  // of the next burst
	kept      time.Time  // when its progress was logged
	states    []replayed // of the messages that publish dealt with last
}

func (e *Engine) runReplay(r *replay) {
	e.replays.mu.RLock()
	run := &replayRun{e: e, r: r, job: r.job, filter: filterOf(&r.job)}
	e.replays.mu.RUnlock()
	run.selection = newReplaySelection(e, UserID(run.job.User), &run.filter)
	run.burst = int(min(max(time.Duration(run.job.Rate)*replayTick/time.Second, 1), replayBurst))
	defer run.keep(true)
	state, err := run.walk()
	if state == 0 { // its owner stopped it, or it goes on after the next start
		return
	}
	why := ""
	if err != nil {
		why = err.Error()
		e.opts.Logger.Error("engine: a replay has failed", "replay", replayID(run.job.ID), "error", err)
	}
	e.replays.finish(e, r, state, why)
}

// walk replays all there is to replay. It returns how the replay has ended, 0 if it has
// not.
func (r *replayRun) walk() (record.JobState, error) {
	at := r.job.Position
	for at < r.job.End {
		if !r.wait(r.next) {
			return 0, nil
		}
		if r.e.users.set.Load().byID[UserID(r.job.User)] == nil {
			return record.JobStopped, nil // its account was deleted
		}
		if err := r.e.busyForPublish(); err != nil {
			if !passes(err) {
				return 0, nil
			}
			r.next = time.Now().Add(replayRetry)
			continue
		}
		page, err := r.selection.page(at, r.job.End, r.burst)
		if errors.Is(err, ErrClosed) {
			return 0, nil
		}
		if err != nil {
			return record.JobFailed, err
		}
		done, published, err := r.publish(page.list)
		if at = page.next; err != nil {
			at = page.list[done].row
		}
		r.count(&page, at, err == nil)
		if err != nil && !passes(err) {
			return 0, nil
		}
		r.pace(published, err)
		r.keep(false)
	}
	return record.JobDone, nil
}

// passes says whether an error that is no message's own is over in a while. Of what is
// not, the log's end and the engine's, others tell.
func passes(err error) bool {
	return errors.Is(err, ErrOverloaded) || errors.Is(err, ErrDiskFull) || errors.Is(err, ErrStalled)
}

// wait waits until a time. It is false if the replay is to run no longer.
func (r *replayRun) wait(until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-r.e.stop:
		return false
	case <-r.r.ended:
		return false
	case <-t.C:
	}
	return !r.e.stopping()
}

// pace says when the next burst is, after one of n messages. What comes late is not
// caught up.
func (r *replayRun) pace(n int, err error) {
	now := time.Now()
	if r.next.Before(now) {
		r.next = now
	}
	r.next = r.next.Add(time.Duration(n) * time.Second / time.Duration(r.job.Rate))
	if n == 0 { // looking at history is not to take a processor for itself
		r.next = now.Add(replayTick)
	}
	if err != nil {
		r.next = now.Add(replayRetry)
	}
}

// tried is a message on its way to the disk.
type tried struct {
	state replayed
	sub   submission
}

// publish publishes messages anew, and waits for all of them together. done is how many
// of them are dealt with, in order: an error is about the one behind them, and it may be
// tried again, with what follows it. What is published by then is known by its
// deduplication id.
func (r *replayRun) publish(page []delivery) (done, published int, err error) {
	tries := make([]tried, 0, len(page))
	for i := range page {
		var t tried
		if t, err = r.submit(&page[i]); err != nil {
			break
		}
		tries = append(tries, t)
	}
	states := r.states[:0]
	for i := range tries {
		t := &tries[i]
		if t.state == replayDone {
			published++
			if _, failed := r.e.settle(&t.sub); failed != nil {
				err = failed
				break
			}
		}
		states = append(states, t.state)
	}
	r.states = states
	return len(states), published, err
}

// submit puts one message into the open group, or says why not.
func (r *replayRun) submit(d *delivery) (t tried, err error) {
	m := messages.Get().(*scratchMessage)
	defer m.free()
	t.state, err = r.selection.read(d, &m.Message)
	if err == nil && t.state == replayRead {
		t.sub, err = r.again(d, m)
		t.state = replayDone
	}
	switch {
	case err == nil:
		return t, nil
	case passes(err) || errors.Is(err, ErrClosed) || errors.Is(err, ErrLogFailed):
		return t, err
	}
	r.e.opts.Logger.Warn("engine: a message is not replayed", "message", MessageID(d.seq, d.nonce), "error", err)
	return tried{state: replayBroken}, nil
}

// again logs a message as a new one, with all its options but those that are of its
// schedule, and its deduplication id.
func (r *replayRun) again(d *delivery, m *scratchMessage) (submission, error) {
	now := r.e.wallMillis()
	m.Created, m.Due, m.Nonce = now, now, m.rand.draw(r.e.opts.Rand)
	m.Flags &^= record.FlagTick
	m.Tick, m.Schedule, m.FromDead, m.Root = record.ScheduleTick{}, "", record.FromDead{}, 0
	m.DedupKey = replayKey(r.job.ID, d)
	if err := r.direct(&m.Message); err != nil {
		return submission{}, err
	}
	hs := slices.DeleteFunc(m.Header, func(h Header) bool { return h.Name == ReplayOfHeader })
	m.Header = append(hs, Header{Name: ReplayOfHeader, Value: MessageID(d.seq, d.nonce)})
	if m.Size() > r.e.limits.Load().recordMax()-record.MoveOverhead {
		return submission{}, ErrTooLarge
	}
	if m.QueueName != "" {
		if err := r.e.ensureQueue(UserID(m.User), m.QueueName); err != nil {
			return submission{}, err
		}
	}
	return r.e.submitBuilt(m)
}

// direct sends a message to the job's destination, or to where it was sent before.
func (r *replayRun) direct(m *record.Message) error {
	if m.PullName != "" {
		if r.job.URL != "" {
			return limitError("a message of a pull queue has no destination that could be another one")
		}
		q, err := r.e.ensurePull(UserID(m.User), m.PullName)
		if err == nil {
			placePull(m, q.ID)
		}
		return err
	}
	if r.job.URL != "" {
		m.URL, m.Topic, m.Endpoint = r.job.URL, "", ""
	}
	host, err := hostKey(m.URL)
	if err != nil { // an earlier version took it
		return limitError("invalid destination url: %v", err)
	}
	m.Host, m.Lane = host, laneTo(m, host)
	return nil
}

// replayKey is the deduplication key of a message in a replay.
func replayKey(job uint64, d *delivery) [16]byte {
	b := binary.LittleEndian.AppendUint64([]byte("replay"), job)
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, d.seq), d.nonce))
	return [16]byte(sum[:16])
}

// count takes what became of messages into the job, which is at a place by now. What has
// expired counts when the page is done with: else it is looked at once more.
func (r *replayRun) count(page *replayPage, at uint64, whole bool) {
	rs := &r.e.replays
	rs.mu.Lock()
	defer rs.mu.Unlock()
	j := &r.r.job
	j.Position, j.Updated = at, r.e.wallMillis()
	if whole {
		j.Expired, j.Matched = j.Expired+page.expired, j.Matched+page.expired
		j.Reached = cmp.Or(page.reached, j.Reached)
	}
	for i, s := range r.states {
		j.Reached = page.list[i].at
		switch s {
		case replayDone:
			j.Replayed++
		case replayExpired:
			j.Expired++
		case replayBroken:
			j.Failed++
		default:
			continue
		}
		j.Matched++
	}
}

// keep logs how far the replay has come, now and then. Without room for it the next
// start does a little again.
func (r *replayRun) keep(now bool) {
	if !now && time.Since(r.kept) < replayKeep {
		return
	}
	r.kept = time.Now()
	if err := r.e.replays.keep(r.e, r.r, wal.Lazy); err != nil && !errors.Is(err, wal.ErrNoSpace) && !errors.Is(err, wal.ErrClosed) {
		r.e.opts.Logger.Debug("engine: the progress of a replay is not logged", "error", err)
	}
}
