package engine

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/record"
)

// RunReceipt is the answer to RunSchedule.
type RunReceipt struct {
	Receipt
	URL     string          // of a schedule that publishes to a single URL
	Members []MemberReceipt // of one that publishes to a URL group; nil for any other
}

// RunSchedule publishes a schedule's message now and returns when it is on disk (W4). It
// is no tick (T3): when the schedule fires next, when it last did, and whether it is
// paused, stay as they are. The schedule's delay counts from here, its queue, group and
// flow-control key hold as for a tick, and a group has the endpoints that it has now.
func (e *Engine) RunSchedule(u UserID, id string) (RunReceipt, error) {
	if err := e.Ready(); err != nil {
		return RunReceipt{}, err
	}
	if err := e.busyForPublish(); err != nil {
		return RunReceipt{}, err
	}
	row, err := e.scheduleRow(u, id)
	if err != nil {
		return RunReceipt{}, err
	}
	d, err := e.readDefinition(&row)
	if err != nil {
		return RunReceipt{}, err
	}
	m := messages.Get().(*scratchMessage)
	defer m.free()
	if err := record.DecodeMessage(d.Message, &m.Message); err != nil {
		return RunReceipt{}, fmt.Errorf("%w: the message of schedule %q: %w", ErrDamaged, id, err)
	}
	now := e.wallMillis()
	m.Due, m.Created, m.Schedule = now+m.Due, now, d.ID
	return e.publishAgain(m)
}

// publishAgain stores a message that is in the log in another form, and returns when it
// is on disk. m lacks what address fills in.
func (e *Engine) publishAgain(m *scratchMessage) (RunReceipt, error) {
	if err := e.address(&m.Message, &m.fan, &m.rand); err != nil {
		return RunReceipt{}, err
	}
	sub, err := e.logBuilt(m)
	if err != nil {
		return RunReceipt{}, err
	}
	if m.QueueName != "" { // as submit: it may have been deleted meanwhile
		_ = e.ensureQueue(UserID(m.User), m.QueueName)
	}
	if len(sub.members) > 0 {
		members, err := e.settleMembers(&sub)
		return RunReceipt{Members: members}, err
	}
	r, err := e.settle(&sub)
	return RunReceipt{Receipt: r, URL: m.URL}, err
}

// address says whom a message goes to that was stored without its nonce: where it is for
// a group, the endpoints that this has now, in f. It makes the queue that the message is
// to wait in.
func (e *Engine) address(m *record.Message, f *fan, r *chance) error {
	if m.QueueName != "" {
		if err := e.ensureQueue(UserID(m.User), m.QueueName); err != nil {
			return err
		}
	}
	if m.Topic == "" {
		m.Nonce = r.draw(e.opts.Rand)
		return nil
	}
	g, err := e.topic(UserID(m.User), m.Topic)
	if err != nil {
		return err
	}
	return e.fanOut(m, g, f)
}
