package httpapi

import (
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine"
)

var routeStats = &route{name: "stats", access: accessRead, serve: (*exchange).stats}

// statsDefault is what GET /v2/stats is about without from.
const statsDefault = time.Hour

// stats is GET /v2/stats?from&to. Unknown parameters are ignored, as on all listings.
func (x *exchange) stats() error {
	from, to, fail := x.statsRange()
	if fail != nil {
		return fail
	}
	s, err := x.srv.opt.Engine.AccountStats(x.user, from, to)
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.time("from", s.From)
	o.time("to", s.To)
	o.num("stepSeconds", int64(s.Step/time.Second))
	o.num("backlog", int64(s.Pending))
	o.key("total")
	total := obj{b: o.b}
	total.counts(&s.Total)
	o.b = total.end()
	o.key("points")
	x.out = append(o.b, '[')
	for i := range s.Points {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		p := obj{b: x.out}
		p.num("time", s.Points[i].At*1000)
		p.counts(&s.Points[i])
		p.num("backlog", int64(s.Points[i].Backlog))
		x.out = p.end()
		if err := x.spill(); err != nil {
			return err
		}
	}
	x.out = append(x.out, "]}"...)
	return x.ok(http.StatusOK)
}

// statsRange reads from and to; one without the other is an hour from it, or now.
func (x *exchange) statsRange() (from, to time.Time, fail *failure) {
	for query := x.query; len(query) > 0 && fail == nil; {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		switch n, v := string(unescapeForm(name)), string(unescapeForm(value)); n {
		case "from":
			from, fail = filterTime(n, v)
		case "to":
			to, fail = filterTime(n, v)
		}
	}
	if to.IsZero() {
		to = time.Now()
	}
	if from.IsZero() {
		from = to.Add(-statsDefault)
	}
	return from, to, fail
}

// counts writes what happened in a time. What took time has no quantiles if there was
// none of it.
func (o *obj) counts(p *engine.StatsPoint) {
	o.num("published", int64(p.Published))
	o.num("delivered", int64(p.Delivered))
	o.num("retried", int64(p.Retried))
	o.num("failed", int64(p.Failed))
	o.num("canceled", int64(p.Canceled))
	o.quantiles("latencyMillis", &p.Latency)
	o.quantiles("latenessMillis", &p.Lateness)
}

func (o *obj) quantiles(name string, q *engine.Quantiles) {
	if q.Count == 0 {
		return
	}
	o.key(name)
	in := obj{b: o.b}
	in.num("count", int64(q.Count))
	in.num("p50", q.P50)
	in.num("p90", q.P90)
	in.num("p99", q.P99)
	in.num("max", q.Max)
	o.b = in.end()
}
