package engine

import (
	"errors"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// exportPull is the definition of a pull queue.
type exportPull struct {
	Type           string     `json:"type"`
	User           UserID     `json:"user"`
	Name           string     `json:"name"`
	Created        *time.Time `json:"created"`
	DeadLetter     string     `json:"dead_letter_queue,omitempty"`
	MaxRetries     int        `json:"max_retries"`
	Visibility     int64      `json:"visibility_ms"`
	Retention      int64      `json:"retention_ms"`
	Delay          int64      `json:"delay_ms,omitempty"`
	WebhookURL     string     `json:"webhook_url,omitempty"`
	MaxConcurrency int        `json:"max_concurrency,omitempty"`
	Timeout        int64      `json:"timeout_ms,omitempty"`
	RetryDelay     string     `json:"retry_delay,omitempty"`
	Paused         bool       `json:"paused,omitempty"`
	Secret         string     `json:"webhook_secret,omitempty"`
	SecretNext     string     `json:"webhook_secret_next,omitempty"`
}

// exportPulled is what a message of a pull queue has besides: the queue that it is in now.
type exportPulled struct {
	Queue  string     `json:"queue"`
	Group  string     `json:"group,omitempty"`
	Leased bool       `json:"leased,omitempty"` // until "due"
	Source string     `json:"dead_letter_of,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Failed *time.Time `json:"failed,omitempty"`
}

func (x *exporter) pulls(secrets bool) error {
	for _, d := range x.e.pulls.list(func(d *pullDef) bool { return !d.gone() }) {
		out := exportPull{
			Type: "pull_queue", User: UserID(d.User), Name: d.Name, Created: utc(d.Created), DeadLetter: d.DeadName, MaxRetries: int(d.Retries),
			Visibility: int64(d.Visibility), Retention: d.Retention, Delay: d.Delay, Paused: d.Flags&record.PullPaused != 0,
		}
		if d.URL != "" {
			out.WebhookURL, out.MaxConcurrency, out.Timeout, out.RetryDelay = d.URL, int(d.Parallel), int64(d.Timeout), d.RetryDelay
		}
		if secrets {
			out.Secret, out.SecretNext = d.Secret, d.SecretNext
		}
		x.end.PullQueues++
		if err := x.json.Encode(out); err != nil {
			return err
		}
	}
	return nil
}

// pulled returns what is exported of a message of a pull queue besides, nil of any other
// and of one that cannot be read.
func (x *exporter) pulled(row *record.Row) (*exportPulled, error) {
	if row.Pull.Published == 0 {
		return nil, nil
	}
	var v PullMessage
	err := x.e.viewPull(row, &v)
	if errors.Is(err, ErrClosed) {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	out := &exportPulled{Queue: v.Queue, Group: v.Group, Leased: v.LeaseID != ""}
	if v.Dead != nil {
		out.Source, out.Reason, out.Failed = v.Dead.Source, v.Dead.Reason, utc(v.Dead.At.UnixMilli())
	}
	return out, nil
}
