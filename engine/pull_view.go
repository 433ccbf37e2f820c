package engine

import (
	"strconv"

	"github.com/tidemill/tidemill/engine/record"
)

func pullReason(d *record.PullDead) string {
	switch {
	case d.Reason == record.PullExpired:
		return "received " + strconv.Itoa(int(d.Attempts)) + " times and not acknowledged"
	case d.Reason == record.PullGivenUp:
		return "the webhook answered " + strconv.Itoa(int(d.Status)) + " and asked for no more attempts"
	case d.Status != 0:
		return "the webhook answered " + strconv.Itoa(int(d.Status))
	}
	return "the webhook gave no answer"
}

// PullQueue returns a pull queue of an account. It sees all that was answered before.
func (e *Engine) PullQueue(u UserID, name string) (PullQueueInfo, error) {
	d := e.pulls.get(u, name)
	if d == nil {
		return PullQueueInfo{}, ErrNotFound
	}
	infos, err := e.viewPullQueues([]*pullDef{d})
	if err != nil {
		return PullQueueInfo{}, err
	}
	return infos[0], nil
}

// PullQueues returns the pull queues of an account, by name.
func (e *Engine) PullQueues(u UserID) ([]PullQueueInfo, error) {
	return e.viewPullQueues(e.pulls.list(func(d *pullDef) bool { return UserID(d.User) == u && !d.gone() }))
}

// viewPullQueues counts what is in queues: by the index, which knows every message, up to
// what was durable when it was asked. Who is called right now the core alone knows.
func (e *Engine) viewPullQueues(ds []*pullDef) ([]PullQueueInfo, error) {
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	out := make([]PullQueueInfo, len(ds))
	for i, d := range ds {
		if err := e.viewPullQueue(d, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, e.query(func(c *core) {
		for i, d := range ds {
			if hi, ok := c.byHost[d.ID]; ok {
				n := min(c.hosts[hi].inflight, out[i].Pending)
				out[i].Pending -= n
				out[i].InFlight += n
			}
		}
	})
}

func (e *Engine) viewPullQueue(d *pullDef, v *PullQueueInfo) error {
	s, _, err := e.idx.PullState(d.ID, e.wallMillis())
	if err != nil {
		return indexError(err)
	}
	c := &s.Counters
	*v = PullQueueInfo{
		PullQueue: PullQueue{
			Name: d.Name, DeadLetterQueue: d.DeadName, MaxRetries: int(d.Retries), Visibility: millis(int64(d.Visibility)),
			Retention: millis(d.Retention), Delay: millis(d.Delay), WebhookURL: d.URL, WebhookSecret: d.Secret,
			WebhookSecretNext: d.SecretNext, MaxConcurrency: int(d.Parallel), Timeout: millis(int64(d.Timeout)), RetryDelay: d.RetryDelay,
			Paused: d.Flags&record.PullPaused != 0, Created: millisTime(d.Created), Updated: millisTime(d.Updated),
		},
		Pending: int(s.Pending), InFlight: int(s.InFlight), Delayed: int(s.Delayed),
		PullCounters: PullCounters{
			Published: c.Published, Delivered: c.Delivered, Retried: c.Retried, DeadLettered: c.Dead, Deferred: c.Deferred, Expired: c.Expired,
		},
	}
	if s.Oldest != 0 {
		v.Oldest = millisTime(s.Oldest)
	}
	return nil
}
