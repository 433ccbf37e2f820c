package metrics

import (
	"strconv"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/httpapi"
)

// attempts shows what the client of destinations counts.
func (s sink) attempts(c *dispatch.Client) {
	stats := c.Stats()
	for digit, n := range stats.Statuses {
		number(s, attemptMetric, n, statusClass(digit))
	}
	for _, class := range dispatch.Classes() {
		if class != dispatch.OK {
			number(s, attemptMetric, stats.Outcomes[class], failureClass(class))
		}
	}
	number(s, poolMetric, stats.Hosts)
	number(s, destConnMetric, max(stats.Open-stats.Idle, 0), "active")
	number(s, destConnMetric, stats.Idle, "idle")
	number(s, destConnUseMetric, stats.Dials, "dialed")
	number(s, destConnUseMetric, stats.Reused, "reused")
	number(s, destConnUseMetric, stats.Redials, "redialed")
}

func statusClass(digit int) string {
	if digit == 0 {
		return "other"
	}
	return strconv.Itoa(digit) + "xx"
}

// failureClass is the class in the words of operators: they would take "refused" for the
// answer of a port where nobody listens.
func failureClass(c dispatch.Class) string {
	switch c {
	case dispatch.Refused:
		return "blocked"
	case dispatch.Resolve:
		return "dns"
	case dispatch.TooLarge:
		return "too_large"
	}
	return c.String()
}

// api shows what the API's server counts.
func (s sink) api(a httpapi.Stats) {
	for _, f := range httpapi.Families() {
		for digit := 2; digit < len(a.Answers[f]); digit++ { // no answer is informational alone
			number(s, requestMetric, a.Answers[f][digit], f.String(), statusClass(digit))
		}
	}
	number(s, unauthMetric, a.Unauthenticated)
	number(s, turnedMetric, a.Refused)
	number(s, panicMetric, a.Panics, "request")
	number(s, connMetric, a.Active, "active")
	number(s, connMetric, a.Conns-a.Active, "idle")
	number(s, connMaxMetric, a.ConnsMax)
	number(s, bodyMetric, a.BodyBytes)
	number(s, bodyMaxMetric, a.BodyBytesMax)
	number(s, receivingMetric, a.Waiting)
	number(s, streamsMetric, a.Streams)
	s.spread(httpStageMetric, a.Receive, "receive")
	s.spread(httpStageMetric, a.Handle, "handle")
	s.spread(httpStageMetric, a.Answer, "answer")
}
