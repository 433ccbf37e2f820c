package httpapi

import (
	"encoding/base64"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// appendEvents appends the entries of one page, separated by commas.
func (x *exchange) appendEvents(dst []byte, q *engine.EventQuery) (out []byte, cursor string, err error) {
	first := true
	cursor, err = x.listEvents(q, func(ev *engine.Event) error {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendEvent(dst, ev)
		return nil
	})
	return dst, cursor, err
}

// appendEvent appends a log entry (QSTASH.md §8.2).
func appendEvent(dst []byte, ev *engine.Event) []byte {
	o := obj{b: dst}
	o.time("time", ev.Time)
	o.str("messageId", ev.MessageID)
	o.str("url", ev.URL)
	o.str("state", ev.State.String())
	if !ev.Next.IsZero() {
		o.time("nextDeliveryTime", ev.Next)
	}
	o.opt("error", ev.Error)
	o.opt("topicName", ev.TopicName)
	o.opt("endpointName", ev.Endpoint)
	o.opt("scheduleId", ev.ScheduleID)
	o.opt("queueName", ev.QueueName)
	o.labels(ev.Labels)
	o.opt("callerIP", ev.CallerIP)
	o.opt("callerIp", ev.CallerIP)
	if ev.Method != "" {
		o.str("method", ev.Method)
		o.num("maxRetries", int64(ev.Retries))
	}
	if ev.Message != nil {
		o.eventMessage(ev.Message)
	} else {
		o.opt("flowControlKey", ev.FlowKey)
	}
	if ev.Ended {
		o.eventResponse(ev)
	}
	if ev.Expired {
		o.flag("bodyExpired", true)
	}
	in := obj{}
	in.attempt(ev)
	o.extension(&in)
	return o.end()
}

// eventMessage writes what the message's record holds. Names are not those of a message
// object everywhere, and the body is base64 always.
func (o *obj) eventMessage(m *engine.Message) {
	o.header("header", m.Header)
	o.base64("body", m.Body)
	if m.Timeout > 0 {
		o.num("timeout", m.Timeout.Milliseconds())
	}
	o.callback("callback", "callbackHeaders", m.Callback)
	o.callback("failureCallback", "failureCallbackHeaders", m.Failure)
	o.opt("retryDelayExpression", m.RetryDelay)
	o.opt("retryDelayExpr", m.RetryDelay)
	o.flowRule(&m.Flow)
}

// eventResponse writes how the destination answered. Without an answer the status is 0.
func (o *obj) eventResponse(ev *engine.Event) {
	o.num("responseStatus", int64(ev.Status))
	o.header("responseHeader", ev.ResponseHeader)
	o.header("responseHeaders", ev.ResponseHeader)
	o.base64("responseBody", ev.ResponseBody)
}

// attempt writes the extensions of an entry: which attempt it is about, and where the time
// of that went.
func (o *obj) attempt(ev *engine.Event) {
	if ev.Attempt > 0 {
		o.num("attempt", int64(ev.Attempt))
	}
	if t := ev.Timing; t != nil {
		in := obj{}
		for _, p := range [...]struct {
			name string
			d    time.Duration
		}{
			{"queue", t.Queue},
			{"flowControl", t.Flow},
			{"dns", t.DNS},
			{"connect", t.Connect},
			{"tls", t.TLS},
			{"firstByte", t.FirstByte},
			{"total", t.Total},
		} {
			in.num(p.name, p.d.Microseconds())
		}
		o.key("timingMicros")
		o.b = append(o.b, in.end()...)
	}
}

// base64 writes v unless it is empty.
func (o *obj) base64(name string, v []byte) {
	if len(v) > 0 {
		o.key(name)
		o.b = append(o.b, '"')
		o.b = base64.StdEncoding.AppendEncode(o.b, v)
		o.b = append(o.b, '"')
	}
}
