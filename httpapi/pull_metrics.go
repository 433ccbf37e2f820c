package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// pullMetricsMax bounds the queues that one call names.
const pullMetricsMax = 1000

// pullMetrics is GET /v1/metrics (QUEUES.md B.7). With ?queue=, once or more, only the
// queues of these names are there, and in the totals.
func (x *exchange) pullMetrics() error {
	names, fail := pullFilter(x.query)
	if fail != nil {
		return fail
	}
	pulls, err := x.srv.opt.Engine.PullQueues(x.user)
	if err != nil {
		return err
	}
	others, err := x.srv.opt.Engine.Queues(x.user)
	if err != nil {
		return err
	}
	out := func(name string) bool {
		return len(names) > 0 && !slices.Contains(names, name) || !x.seesQueue(name)
	}
	pulls = slices.DeleteFunc(pulls, func(q engine.PullQueueInfo) bool { return out(q.Name) })
	others = slices.DeleteFunc(others, func(q engine.QueueInfo) bool { return out(q.Name) })
	return x.answerPullMetrics(pulls, others)
}

// pullFilter returns the values of queue, none for no filter. Other parameters are
// ignored.
func pullFilter(query []byte) (names []string, fail *failure) {
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if string(unescapeForm(name)) != "queue" {
			continue
		}
		value = unescapeForm(value)
		if fail := pullName("queue", value); fail != nil {
			return nil, fail
		}
		if len(names) == pullMetricsMax {
			return nil, badRequest("queue: at most %d can be named", pullMetricsMax)
		}
		names = append(names, string(value))
	}
	return names, nil
}

func (x *exchange) answerPullMetrics(pulls []engine.PullQueueInfo, others []engine.QueueInfo) error {
	now := x.srv.opt.Now()
	var total engine.PullCounters
	x.out = append(x.out[:0], `{"queues":{`...)
	err := x.named(len(pulls), func(i int) string { return pulls[i].Name }, func(o *obj, i int) {
		o.pullNumbers(&pulls[i], now)
		total.Published += pulls[i].Published
		total.Delivered += pulls[i].Delivered
		total.Retried += pulls[i].Retried
		total.DeadLettered += pulls[i].DeadLettered
	})
	if err != nil {
		return err
	}
	x.out = append(x.out, `,"totals":`...)
	o := obj{b: x.out}
	o.count("published", total.Published)
	o.count("delivered", total.Delivered)
	o.count("retried", total.Retried)
	o.count("dead_lettered", total.DeadLettered)
	x.out = append(o.end(), `,"v2_queues":{`...)
	err = x.named(len(others), func(i int) string { return others[i].Name }, func(o *obj, i int) {
		o.num("lag", int64(others[i].Lag))
		o.flag("paused", others[i].Paused)
	})
	if err != nil {
		return err
	}
	x.out = append(x.out, `,"uptime_seconds":`...)
	x.out = strconv.AppendInt(x.out, int64(time.Since(x.srv.began)/time.Second), 10)
	x.out = append(x.out, '}')
	return x.ok(http.StatusOK)
}

// named writes the n members of an object that was begun, and its end.
func (x *exchange) named(n int, name func(i int) string, value func(o *obj, i int)) error {
	for i := range n {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.out = append(appendString(x.out, name(i)), ':')
		o := obj{b: x.out}
		value(&o, i)
		x.out = o.end()
		if err := x.spill(); err != nil {
			return err
		}
	}
	x.out = append(x.out, '}')
	return nil
}

// pullNumbers writes what is counted of a queue.
func (o *obj) pullNumbers(q *engine.PullQueueInfo, now time.Time) {
	o.num("pending", int64(q.Pending))
	o.num("in_flight", int64(q.InFlight))
	o.num("delayed", int64(q.Delayed))
	age := time.Duration(0)
	if !q.Oldest.IsZero() {
		age = max(now.Sub(q.Oldest), 0)
	}
	o.key("oldest_age_seconds")
	o.b = strconv.AppendFloat(o.b, age.Seconds(), 'f', 3, 64)
	o.count("published", q.Published)
	o.count("delivered", q.Delivered)
	o.count("retried", q.Retried)
	o.count("dead_lettered", q.DeadLettered)
	o.count("deferred", q.Deferred)
	o.count("expired", q.Expired)
}

func (o *obj) count(name string, n uint64) {
	o.key(name)
	o.b = strconv.AppendUint(o.b, n, 10)
}
