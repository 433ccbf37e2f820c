package engine

import (
	"cmp"
	"errors"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// A replay is a job that publishes delivered messages once more: it walks the history
// (X6), reads each message that its filter selects from the log, while that has it
// (W10), and publishes it as a new one, at a rate of its own. What it is and how far it
// has come is a record (record.Job), logged once a second, so it goes on after a restart.
// What was published after the last of these records is known by its deduplication id.

// Bounds of replays.
const (
	ReplayRateMax     = 10_000  // messages per second
	ReplayValuesMax   = 100     // of a filter
	ReplayFilterMax   = 8 << 10 // bytes of these
	ReplaysRunningMax = 4       // of one account
	ReplaysKeptMax    = 100     // of one account: the oldest that has ended makes room

	replaysRunning = 64   // of all accounts
	replaysMax     = 5000 // of all accounts
)

// Replay is a replay to start, checked for syntax by its caller.
type Replay struct {
	// Filter selects messages by what they were published with and, by From and To, by
	// when they were delivered. It must select by something.
	Filter Filter
	Rate   int    // messages per second, 1 to ReplayRateMax
	URL    string // where to; "": where each message went
}

// ReplayInfo is a replay as its owner sees it.
type ReplayInfo struct {
	ID string
	Replay
	State            ReplayState
	Created, Updated time.Time
	Matched          uint64    // messages that it came across; each is one of the following, or under way
	Replayed         uint64    // published anew
	Expired          uint64    // the log no longer has them
	Failed           uint64    // that could not be published
	Position         time.Time // when the message was delivered that it looked at last; zero: none
	Error            string    // why it failed
}

// ReplayState says how far a replay is.
type ReplayState string

// The states of a replay.
const (
	ReplayRunning ReplayState = "running"
	ReplayDone    ReplayState = "done"
	ReplayStopped ReplayState = "stopped"
	ReplayFailed  ReplayState = "failed"
)

var replayStates = map[record.JobState]ReplayState{
	record.JobRunning: ReplayRunning, record.JobDone: ReplayDone, record.JobStopped: ReplayStopped, record.JobFailed: ReplayFailed,
}

// ErrBodiesGone: there were messages to replay, and the log has none of them any more.
var ErrBodiesGone = errors.New("the bodies of these messages are no longer kept: retention.bodies says for how long they are")

// StartReplay starts a replay of what was delivered before, and returns its id when that
// is on disk. It fails with ErrBodiesGone if nothing that the filter selects is left in
// the log, as far as a look at the newest history tells.
func (e *Engine) StartReplay(u UserID, r *Replay) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	if err := errors.Join(e.Ready(), e.catchUp()); err != nil {
		return "", err
	}
	lower, upper, err := e.eventBounds(&r.Filter)
	if err != nil {
		return "", err
	}
	upper = min(upper, e.idx.Applied())
	s := newReplaySelection(e, u, &r.Filter)
	if err := s.kept(lower, upper); err != nil {
		return "", err
	}
	now := e.wallMillis()
	job := record.Job{
		User: uint32(u), ID: new(chance).draw(e.opts.Rand), State: record.JobRunning, Rate: uint32(r.Rate), Created: now, Updated: now,
		Filter: filterValues(&r.Filter), URL: r.URL, Position: lower, End: max(lower, upper),
	}
	job.From, job.To = filterTimes(&r.Filter)
	return replayID(job.ID), e.replays.start(e, &job)
}

// check refuses what is out of bounds.
func (r *Replay) check() error {
	f := &r.Filter
	values, bytes := 0, 0
	for _, v := range filterValues(f) {
		values, bytes = values+1, bytes+len(v.Value)
	}
	switch {
	case r.Rate < 1 || r.Rate > ReplayRateMax:
		return limitError("rate must be from 1 to %d messages per second", ReplayRateMax)
	case values == 0 && f.From.IsZero() && f.To.IsZero():
		return limitError("a replay needs a filter: name a label, a url, fromDate, toDate or another one")
	case values > ReplayValuesMax || bytes > ReplayFilterMax:
		return limitError("the filters of a replay can have %d values and %d bytes", ReplayValuesMax, ReplayFilterMax)
	case !f.From.IsZero() && !f.To.IsZero() && f.From.After(f.To):
		return limitError("fromDate must not be after toDate")
	}
	if r.URL == "" {
		return nil
	}
	if _, err := hostKey(r.URL); err != nil {
		return limitError("invalid destination url: %v", err)
	}
	return nil
}

// Replays returns the replays of an account, newest first.
func (e *Engine) Replays(u UserID) ([]ReplayInfo, error) {
	rs := &e.replays
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	list := rs.mu.byUser[u]
	out := make([]ReplayInfo, len(list))
	for i, r := range list {
		out[len(list)-1-i] = r.info()
	}
	return out, nil
}

// Replay returns one replay.
func (e *Engine) Replay(u UserID, id string) (*ReplayInfo, error) {
	rs := &e.replays
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	r := rs.findLocked(u, id)
	if r == nil {
		return nil, ErrNotFound
	}
	info := r.info()
	return &info, nil
}

// StopReplay ends a replay, and returns when that is on disk. What it has published
// stays, and so does what it says of itself. One that has ended is left as it is.
func (e *Engine) StopReplay(u UserID, id string) error {
	if err := e.Ready(); err != nil {
		return err
	}
	return e.replays.stop(e, u, id)
}

// info returns a replay for its owner; replays.mu is held.
func (r *replay) info() ReplayInfo {
	j := &r.job
	info := ReplayInfo{
		ID: replayID(j.ID), Replay: Replay{Filter: filterOf(j), Rate: int(j.Rate), URL: j.URL}, State: replayStates[j.State],
		Created: time.UnixMilli(j.Created), Updated: time.UnixMilli(j.Updated),
		Matched: j.Matched, Replayed: j.Replayed, Expired: j.Expired, Failed: j.Failed, Error: j.Error,
	}
	if j.Reached != 0 {
		info.Position = time.UnixMilli(j.Reached)
	}
	return info
}

// replayID is what a job is known by: "rpl_" and 11 base-58 digits.
func replayID(id uint64) string {
	b := append(make([]byte, 0, 16), "rpl_00000000000"...)
	putBase58(b[4:], 0, id)
	return string(b)
}

// filterLists are the fields of a filter that have values, by their numbers in a record.
func filterLists(f *Filter) [record.FilterCaller + 1]*[]string {
	return [...]*[]string{
		record.FilterMessage: &f.MessageIDs, record.FilterURL: &f.URLs, record.FilterHost: &f.Hosts, record.FilterPath: &f.Paths,
		record.FilterTopic: &f.TopicNames, record.FilterQueue: &f.QueueNames, record.FilterSchedule: &f.ScheduleIDs,
		record.FilterLabel: &f.Labels, record.FilterFlow: &f.FlowKeys, record.FilterCaller: &f.CallerIPs,
	}
}

func filterValues(f *Filter) (values []record.FilterValue) {
	for field, list := range filterLists(f) {
		if list == nil {
			continue
		}
		for _, v := range *list {
			values = append(values, record.FilterValue{Field: record.FilterField(field), Value: v})
		}
	}
	return values
}

// filterTimes returns the bounds of a filter, unix ms. Zero stands for none, so the first
// millisecond of 1970 stands for it, too.
func filterTimes(f *Filter) (from, to int64) {
	if !f.From.IsZero() {
		from = f.From.UnixMilli()
	}
	if !f.To.IsZero() {
		to = cmp.Or(f.To.UnixMilli(), 1)
	}
	return from, to
}

// filterOf returns the filter of a job.
func filterOf(j *record.Job) (f Filter) {
	lists := filterLists(&f)
	for _, v := range j.Filter {
		*lists[v.Field] = append(*lists[v.Field], v.Value)
	}
	if j.From != 0 {
		f.From = time.UnixMilli(j.From)
	}
	if j.To != 0 {
		f.To = time.UnixMilli(j.To)
	}
	return f
}
