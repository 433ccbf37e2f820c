package commands

import (
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// filters are flags that select messages, events or dead letters (QSTASH.md §8). Values of one flag
// are alternatives; different flags all apply.
type filters struct {
	texts    []textFilter
	from, to client.Moment
}

// textFilter is a flag with the name that the API has for it.
type textFilter struct {
	flag, member, usage string
	values              texts
}

var textFilters = []textFilter{
	{flag: "message-id", member: "messageIds", usage: "id of a message"},
	{flag: "state", member: "state", usage: "CREATED, ACTIVE, RETRY, ERROR, DELIVERED, FAILED, CANCEL_REQUESTED, CANCELED or IN_PROGRESS"},
	{flag: "queue", member: "queueName", usage: "queue"},
	{flag: "group", member: "topicName", usage: "URL group"},
	{flag: "schedule", member: "scheduleId", usage: "schedule that published it"},
	{flag: "label", member: "label", usage: "label"},
	{flag: "to-url", member: "url", usage: "destination, the whole URL"},
	{flag: "host", member: "host", usage: "host of the destination"},
	{flag: "path", member: "path", usage: "path of the destination"},
	{flag: "flow-key", member: "flowControlKey", usage: "flow-control key"},
	{flag: "caller-ip", member: "callerIp", usage: "address that it was published from"},
	{flag: "status", member: "responseStatus", usage: "HTTP status that the destination answered with last, 0 for no answer"},
}

// bindFilters defines the flags of all filters but those that the call does not take, and --from
// and --to, which are of what.
func bindFilters(c *cobra.Command, what string, but ...string) *filters {
	f := &filters{}
	for _, t := range textFilters {
		if !slices.Contains(but, t.flag) {
			f.texts = append(f.texts, t)
		}
	}
	for i := range f.texts {
		t := &f.texts[i]
		c.Flags().Var(&t.values, t.flag, t.usage+"; repeatable")
	}
	c.Flags().Var(&f.from, "from", what+" at or after this time, such as 15m (ago), 2026-03-29 or 2026-03-29T08:00:00Z")
	c.Flags().Var(&f.to, "to", what+" at or before this time")
	return f
}

// query is what the flags say. A value that is empty is refused: it would select more than was
// meant.
func (f *filters) query() (url.Values, error) {
	q := url.Values{}
	for i := range f.texts {
		t := &f.texts[i]
		if err := named("--"+t.flag, t.values); err != nil {
			return nil, err
		}
		for _, v := range t.values {
			q.Add(t.member, v)
		}
	}
	if !f.from.IsZero() {
		q.Set("fromDate", f.from.Millis())
	}
	if !f.to.IsZero() {
		q.Set("toDate", f.to.Millis())
	}
	return q, nil
}
