package alerts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
)

// alert is the JSON that the webhook gets. "text" alone is what Slack and Mattermost show. OPERATIONS.md,
// "Alerts", is its contract.
type alert struct {
	Kind    engine.NoticeKind    `json:"kind"`
	Text    string               `json:"text"`
	Time    time.Time            `json:"time"`
	Server  string               `json:"server"`
	Host    string               `json:"host,omitempty"`
	Error   string               `json:"error,omitempty"`
	Free    *int64               `json:"free_bytes,omitempty"`
	Floor   *int64               `json:"min_free_bytes,omitempty"`
	Damaged *engine.DamagedRange `json:"damaged,omitempty"`
	Dropped int                  `json:"dropped,omitempty"` // alerts that were left out since the last one
}

func newAlert(n *engine.Notice, server string, dropped int) alert {
	a := alert{
		Kind: n.Kind, Text: "tidemill on " + server + ": " + text(n), Time: n.At.UTC().Truncate(time.Millisecond), Server: server,
		Host: n.Host, Error: n.Error, Damaged: n.Damaged, Dropped: dropped,
	}
	if topicOf(n.Kind) == topicDisk {
		a.Free, a.Floor = &n.Free, &n.Floor
	}
	if dropped > 0 {
		a.Text += fmt.Sprintf(" (%d more alerts were left out)", dropped)
	}
	return a
}

// text says in a sentence what happened, and where to look.
func text(n *engine.Notice) string {
	switch n.Kind {
	case engine.NoticeDeadLetter:
		return fmt.Sprintf("messages to %s become dead letters: %s. Look at the dead letter queue", n.Host, n.Error)
	case engine.NoticeCircuitOpened:
		return fmt.Sprintf("%s does not answer (%s). It is probed by one attempt at a time; its messages are retried", n.Host, n.Error)
	case engine.NoticeCircuitClosed:
		return n.Host + " answers again"
	case engine.NoticeDiskLow:
		return fmt.Sprintf("the disk is full, publishes are refused: %d MiB are free, data.min-free is %d MiB. Make room", n.Free>>20, n.Floor>>20)
	case engine.NoticeDiskOK:
		return fmt.Sprintf("there is room on the disk again, publishes are accepted: %d MiB are free", n.Free>>20)
	case engine.NoticeDamage:
		return fmt.Sprintf("the log is damaged in segment %s at %d: %s. Run `tidemill wal verify`", n.Damaged.Segment, n.Damaged.Offset, n.Damaged.Meaning)
	}
	return string(n.Kind)
}

// request makes an alert the POST of a webhook. With a secret it is signed as Standard Webhooks
// (standardwebhooks.com) says, so that any of its libraries verifies it.
func (a *alert) request(t *target, id string, now time.Time) (*dispatch.Attempt, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	at := &dispatch.Attempt{Method: "POST", URL: t.url, Body: body, Timeout: sendTimeout, Header: []dispatch.Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "User-Agent", Value: "tidemill"},
		{Name: "Webhook-Id", Value: id},
		{Name: "Webhook-Timestamp", Value: strconv.FormatInt(now.Unix(), 10)},
	}}
	if t.secret != "" {
		at.Header = append(at.Header, dispatch.Header{Name: "Webhook-Signature", Value: sign(t.secret, id, now.Unix(), body)})
	}
	return at, nil
}

// secretPrefix marks a key that is base64.
const secretPrefix = "whsec_"

// sign returns the value of Webhook-Signature. A key without secretPrefix, or whose rest is no base64, is
// taken as it stands.
func sign(secret, id string, seconds int64, body []byte) string {
	key := []byte(secret)
	if rest, ok := strings.CutPrefix(secret, secretPrefix); ok {
		if raw, err := base64.StdEncoding.DecodeString(rest); err == nil {
			key = raw
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, seconds)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
