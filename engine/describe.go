package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// RecordInfo is what a tool shows of a log record: the keys of its fixed head,
// nothing of its content. Empty fields are those that the record does not have.
type RecordInfo struct {
	Type string `json:"record"` // "message", "outcome", "drop-dead", "user", "token", "drop-token", "drop-user", "move",
	// "schedule", "drop-schedule", "tick", "queue", "flow", "group", "drop-group", "pull-queue", "fanout", "job", or "type N"
	Message  string     `json:"message,omitempty"`
	User     uint32     `json:"user,omitempty"`
	Kind     string     `json:"kind,omitempty"`    // outcome; job: its state
	Step     string     `json:"step,omitempty"`    // outcome: what it does to a message of a pull queue
	Attempt  int        `json:"attempt,omitempty"` // outcome
	Status   int        `json:"status,omitempty"`  // outcome
	Due      *time.Time `json:"due,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	Dead     string     `json:"dead,omitempty"`  // drop-dead: the address of the outcome
	Name     string     `json:"name,omitempty"`  // user, token: its name; schedule: its expression; job: its id
	Token    string     `json:"token,omitempty"` // token, drop-token: its id
	Queue    string     `json:"queue,omitempty"`
	Flow     string     `json:"flow,omitempty"`    // flow-control key
	Group    string     `json:"group,omitempty"`   // URL group
	Members  []string   `json:"members,omitempty"` // fanout: the messages that it publishes
	Labels   []string   `json:"labels,omitempty"`
	Redacted bool       `json:"redacted,omitempty"` // message, fanout: views of it hide something
	Pull     string     `json:"pull_queue,omitempty"`
	Calls    []string   `json:"callbacks,omitempty"` // outcome: the callbacks that it publishes
	Old      string     `json:"old,omitempty"`       // move: where the copied record stood
	Schedule string     `json:"schedule,omitempty"`
	Tick     *time.Time `json:"tick,omitempty"`    // message of a schedule; schedule, tick: the last one that is over
	From     *time.Time `json:"from,omitempty"`    // tick: the first one that published nothing
	Missed   int        `json:"missed,omitempty"`  // tick: how many published nothing, from From to Tick
	Paused   bool       `json:"paused,omitempty"`  // schedule, queue, flow, pull queue
	Deleted  bool       `json:"deleted,omitempty"` // queue, pull queue: it is there for its messages only
	Expired  bool       `json:"expired,omitempty"` // drop-dead: for its age
	Pinned   []string   `json:"pinned,omitempty"`  // flow: "parallelism", "rate"
	Error    string     `json:"error,omitempty"`
}

// InspectRecord decodes the head of the record at lsn. What does not decode is
// said in Error.
func InspectRecord(lsn wal.LSN, p []byte) RecordInfo {
	t, err := record.TypeOf(p)
	if err != nil {
		info := RecordInfo{Type: "unknown", Error: err.Error()}
		if len(p) > 0 {
			info.Type = fmt.Sprintf("type %d", p[0])
		}
		return info
	}
	info := RecordInfo{Type: fmt.Sprintf("type %d", t)}
	switch t {
	case record.TypeMessage:
		err = info.message(lsn, p)
	case record.TypeOutcome:
		err = info.outcome(lsn, p)
	case record.TypeDropDead:
		err = info.dropDead(p)
	case record.TypeUser:
		err = info.user(p)
	case record.TypeToken:
		err = info.token(p)
	case record.TypeDropToken:
		err = info.dropToken(p)
	case record.TypeDropUser:
		err = info.dropUser(p)
	case record.TypeMove:
		err = info.move(p)
	case record.TypeSchedule:
		err = info.schedule(p)
	case record.TypeDropSchedule:
		err = info.dropSchedule(p)
	case record.TypeTick:
		err = info.tick(p)
	case record.TypeQueue:
		err = info.queue(p)
	case record.TypeFlow:
		err = info.flow(p)
	case record.TypeGroup:
		err = info.group(p)
	case record.TypeDropGroup:
		err = info.dropGroup(p)
	case record.TypePullQueue:
		err = info.pullQueue(p)
	case record.TypeFanout:
		err = info.fanout(lsn, p)
	case record.TypeJob:
		err = info.job(p)
	}
	if err != nil {
		info.Error = err.Error()
	}
	return info
}

func (i *RecordInfo) message(lsn wal.LSN, p []byte) error {
	i.Type = "message"
	h, err := record.HeadOfMessage(p)
	if err != nil {
		return err
	}
	i.Message = MessageID(uint64(lsn), h.Nonce())
	return i.published(h)
}

// published is what a message says of itself, but for what the members of a fan-out
// have each for themselves.
func (i *RecordInfo) published(h record.MessageHead) error {
	i.User, i.Due, i.At = h.User(), utc(h.Due()), utc(h.Created())
	names, err := h.LineNames()
	if err != nil {
		return err
	}
	i.Queue, i.Flow = string(names.Queue), string(names.FlowKey)
	var redact Redact
	if i.Labels, redact, err = h.Labels(); err != nil {
		return err
	}
	i.Redacted = redact.Any()
	pull, err := h.PullQueue()
	if err != nil {
		return err
	}
	i.Pull = string(pull)
	id, k, ok, err := h.Tick()
	if ok && err == nil {
		i.Schedule, i.Tick = string(id), utc(k.Time)
	}
	return err
}

func (i *RecordInfo) fanout(lsn wal.LSN, p []byte) error {
	i.Type = "fanout"
	h, err := record.EachMember(p, func(n int, m *record.MemberHead) error {
		i.Members = append(i.Members, MessageID(uint64(lsn)+uint64(n), m.Nonce))
		return nil
	})
	if err != nil {
		return err
	}
	return i.published(h)
}

func (i *RecordInfo) outcome(lsn wal.LSN, p []byte) error {
	i.Type = "outcome"
	var o record.Outcome
	if err := record.DecodeOutcomeHead(p, &o); err != nil {
		return err
	}
	i.Message, i.User, i.Kind = MessageID(o.Seq, o.Nonce), o.User, o.Kind.String()
	i.Attempt, i.Status, i.At = int(o.Attempt), int(o.Status), utc(o.At)
	if o.Kind == record.Retry {
		i.Due = utc(o.Next)
	}
	if o.Step.Op != 0 {
		i.Step = o.Step.Op.String()
	}
	return record.EachCallback(p, func(n int, h record.MessageHead, _ []byte) error {
		i.Calls = append(i.Calls, MessageID(uint64(lsn)+1+uint64(n), h.Nonce()))
		return nil
	})
}

func (i *RecordInfo) dropDead(p []byte) error {
	i.Type = "drop-dead"
	var d record.DropDead
	if err := record.DecodeDropDead(p, &d); err != nil {
		return err
	}
	i.User, i.Dead = d.User, wal.LSN(d.Dead).String()
	i.Expired = d.Flags&record.DropExpired != 0
	return nil
}

func (i *RecordInfo) user(p []byte) error {
	i.Type = "user"
	var u record.User
	if err := record.DecodeUser(p, &u); err != nil {
		return err
	}
	i.User, i.Name, i.At = u.ID, u.Name, utc(u.Created)
	return nil
}

// token says nothing of a token's hash but what its id has of it.
func (i *RecordInfo) token(p []byte) error {
	i.Type = "token"
	var t record.Token
	if err := record.DecodeToken(p, &t); err != nil {
		return err
	}
	i.User, i.Token, i.Name, i.At = t.User, TokenID(t.ID()), t.Name, utc(t.Created)
	return nil
}

func (i *RecordInfo) dropToken(p []byte) error {
	i.Type = "drop-token"
	var d record.DropToken
	if err := record.DecodeDropToken(p, &d); err != nil {
		return err
	}
	i.User, i.Token = d.User, TokenID(d.ID)
	return nil
}

func (i *RecordInfo) dropUser(p []byte) error {
	i.Type = "drop-user"
	var d record.DropUser
	if err := record.DecodeDropUser(p, &d); err != nil {
		return err
	}
	i.User = d.User
	return nil
}

func (i *RecordInfo) move(p []byte) error {
	i.Type = "move"
	var m record.Move
	if err := record.DecodeMove(p, &m); err != nil {
		return err
	}
	i.Message, i.User, i.Old = MessageID(m.Seq, m.Nonce), m.User, wal.LSN(m.Old).String()
	return nil
}

func (i *RecordInfo) schedule(p []byte) error {
	i.Type = "schedule"
	var d record.Schedule
	if err := record.DecodeSchedule(p, &d); err != nil {
		return err
	}
	i.User, i.Schedule, i.Name, i.At, i.Tick = d.User, d.ID, d.Cron, utc(d.Created), utc(d.Last)
	i.Paused = d.Flags&record.FlagPaused != 0
	return nil
}

func (i *RecordInfo) dropSchedule(p []byte) error {
	i.Type = "drop-schedule"
	var d record.DropSchedule
	if err := record.DecodeDropSchedule(p, &d); err != nil {
		return err
	}
	i.User, i.Schedule = d.User, d.ID
	return nil
}

func (i *RecordInfo) tick(p []byte) error {
	i.Type = "tick"
	var k record.Tick
	if err := record.DecodeTick(p, &k); err != nil {
		return err
	}
	i.User, i.Schedule, i.At, i.Tick = k.User, k.ID, utc(k.At), utc(k.Last)
	if k.Count > 0 {
		i.From, i.Missed = utc(k.From), int(k.Count)
	}
	return nil
}

func (i *RecordInfo) queue(p []byte) error {
	i.Type = "queue"
	var q record.Queue
	if err := record.DecodeQueue(p, &q); err != nil {
		return err
	}
	i.User, i.Queue, i.At = q.User, q.Name, utc(q.Updated)
	i.Paused, i.Deleted = q.Flags&record.QueuePaused != 0, q.Flags&record.QueueGone != 0
	return nil
}

func (i *RecordInfo) flow(p []byte) error {
	i.Type = "flow"
	var f record.Flow
	if err := record.DecodeFlow(p, &f); err != nil {
		return err
	}
	i.User, i.Flow, i.Paused = f.User, f.Key, f.Flags&record.FlowPaused != 0
	if f.Flags&record.FlowPinnedParallelism != 0 {
		i.Pinned = append(i.Pinned, "parallelism")
	}
	if f.Flags&record.FlowPinnedRate != 0 {
		i.Pinned = append(i.Pinned, "rate")
	}
	return nil
}

// pullQueue says nothing of what its webhook is signed with.
func (i *RecordInfo) pullQueue(p []byte) error {
	i.Type = "pull-queue"
	var q record.PullQueue
	if err := record.DecodePullQueue(p, &q); err != nil {
		return err
	}
	i.User, i.Pull, i.At = q.User, q.Name, utc(q.Updated)
	i.Paused, i.Deleted = q.Flags&record.PullPaused != 0, q.Flags&record.PullGone != 0
	return nil
}

func (i *RecordInfo) group(p []byte) error {
	i.Type = "group"
	var g record.Group
	if err := record.DecodeGroup(p, &g); err != nil {
		return err
	}
	i.User, i.Group, i.At = g.User, g.Name, utc(g.Updated)
	return nil
}

func (i *RecordInfo) dropGroup(p []byte) error {
	i.Type = "drop-group"
	var d record.DropGroup
	if err := record.DecodeDropGroup(p, &d); err != nil {
		return err
	}
	i.User, i.Group = d.User, d.Name
	return nil
}

func (i *RecordInfo) job(p []byte) error {
	i.Type = "job"
	var j record.Job
	if err := record.DecodeJob(p, &j); err != nil {
		return err
	}
	i.User, i.At, i.Name = j.User, utc(j.Updated), replayID(j.ID)
	if i.Kind = string(replayStates[j.State]); j.State == record.JobGone {
		i.Kind = "gone"
	}
	return nil
}

func utc(millis int64) *time.Time {
	t := time.UnixMilli(millis).UTC()
	return &t
}

// String is the info on one line.
func (i RecordInfo) String() string {
	s := i.Type
	word := func(format, v string) {
		if v != "" {
			s += fmt.Sprintf(" "+format, v)
		}
	}
	number := func(format string, v int) {
		if v != 0 {
			s += fmt.Sprintf(" "+format, v)
		}
	}
	moment := func(format string, t *time.Time) {
		if t != nil {
			s += fmt.Sprintf(" "+format, t.Format(time.RFC3339Nano))
		}
	}
	word("%s", i.Message)
	word("%s", strings.Join(i.Members, " "))
	word("%s", i.Kind)
	word("by %s", i.Step)
	word("%s", i.Dead)
	word("of schedule %q", i.Schedule)
	word("%s", i.Token)
	word("%q", i.Name)
	word("in queue %q", i.Queue)
	word("in pull queue %q", i.Pull)
	word("with key %q", i.Flow)
	word("labeled %q", strings.Join(i.Labels, ","))
	word("%q", i.Group)
	number("user %d", int(i.User))
	number("attempt %d", i.Attempt)
	number("status %d", i.Status)
	moment("due %s", i.Due)
	moment("tick %s", i.Tick)
	number("missed %d", i.Missed)
	moment("since %s", i.From)
	if i.Paused {
		s += " paused"
	}
	if i.Redacted {
		s += " redacted"
	}
	if i.Deleted {
		s += " deleted"
	}
	if i.Expired {
		s += " expired"
	}
	word("pinned %s", strings.Join(i.Pinned, " and "))
	word("calls %s", strings.Join(i.Calls, " "))
	word("from %s", i.Old)
	word("(%s)", i.Error)
	return s
}

// DescribeDamaged says what a record was whose checksum failed. Any of it may be
// the part that is damaged.
func DescribeDamaged(lsn wal.LSN, p []byte) string {
	info := InspectRecord(lsn, p)
	if info.Error != "" {
		return ""
	}
	return info.String()
}
