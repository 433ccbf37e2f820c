package engine

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// RecordInfo is what a tool shows of a log record: the keys of its fixed head,
// nothing of its content. Empty fields are those that the record does not have.
type RecordInfo struct {
	Type string `json:"record"` // "message", "outcome", "drop-dead", "user", "move",
	// "schedule", "drop-schedule", "tick", "group", "drop-group", "fan-out", or "type N"
	Message  string     `json:"message,omitempty"` // fan-out: the first one
	User     uint32     `json:"user,omitempty"`
	Kind     string     `json:"kind,omitempty"`    // outcome
	Attempt  int        `json:"attempt,omitempty"` // outcome
	Status   int        `json:"status,omitempty"`  // outcome
	Due      *time.Time `json:"due,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	Dead     string     `json:"dead,omitempty"` // drop-dead: the address of the outcome
	Name     string     `json:"name,omitempty"` // user, group: its name; schedule: its expression
	Old      string     `json:"old,omitempty"`  // move, group: where the record stood that this one replaces
	Schedule string     `json:"schedule,omitempty"`
	Tick     *time.Time `json:"tick,omitempty"`    // message of a schedule; schedule, tick: the last one that is over
	From     *time.Time `json:"from,omitempty"`    // tick: the first one that published nothing
	Missed   int        `json:"missed,omitempty"`  // tick: how many published nothing, from From to Tick
	Paused   bool       `json:"paused,omitempty"`  // schedule
	Members  int        `json:"members,omitempty"` // fan-out: its messages; group: its endpoints
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
		err = info.outcome(p)
	case record.TypeDropDead:
		err = info.dropDead(p)
	case record.TypeUser:
		err = info.user(p)
	case record.TypeMove:
		err = info.move(p)
	case record.TypeSchedule:
		err = info.schedule(p)
	case record.TypeDropSchedule:
		err = info.dropSchedule(p)
	case record.TypeTick:
		err = info.tick(p)
	case record.TypeGroup:
		err = info.group(p)
	case record.TypeDropGroup:
		err = info.dropGroup(p)
	case record.TypeFanout:
		err = info.fanout(lsn, p)
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
	i.Message, i.User = MessageID(uint64(lsn), h.Nonce()), h.User()
	i.Due, i.At = utc(h.Due()), utc(h.Created())
	id, k, ok, err := h.Tick()
	if ok && err == nil {
		i.Schedule, i.Tick = string(id), utc(k.Time)
	}
	return err
}

func (i *RecordInfo) outcome(p []byte) error {
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
	return nil
}

func (i *RecordInfo) dropDead(p []byte) error {
	i.Type = "drop-dead"
	var d record.DropDead
	if err := record.DecodeDropDead(p, &d); err != nil {
		return err
	}
	i.User, i.Dead = d.User, wal.LSN(d.Dead).String()
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

func utc(millis int64) *time.Time {
	t := time.UnixMilli(millis).UTC()
	return &t
}

// String is the info on one line.
func (i RecordInfo) String() string {
	s := i.Type
	add := func(format string, v any) { s += " " + fmt.Sprintf(format, v) }
	if i.Message != "" {
		add("%s", i.Message)
	}
	if i.Kind != "" {
		add("%s", i.Kind)
	}
	if i.Dead != "" {
		add("%s", i.Dead)
	}
	if i.Schedule != "" {
		add("of schedule %q", i.Schedule)
	}
	if i.Name != "" {
		add("%q", i.Name)
	}
	if i.User != 0 {
		add("user %d", i.User)
	}
	if i.Attempt != 0 {
		add("attempt %d", i.Attempt)
	}
	if i.Status != 0 {
		add("status %d", i.Status)
	}
	if i.Due != nil {
		add("due %s", i.Due.Format(time.RFC3339Nano))
	}
	if i.Tick != nil {
		add("tick %s", i.Tick.Format(time.RFC3339Nano))
	}
	if i.Missed != 0 {
		add("missed %d", i.Missed)
		add("since %s", i.From.Format(time.RFC3339Nano))
	}
	if i.Members != 0 {
		add("members %d", i.Members)
	}
	if i.Paused {
		s += " paused"
	}
	if i.Old != "" {
		add("from %s", i.Old)
	}
	if i.Error != "" {
		add("(%s)", i.Error)
	}
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
