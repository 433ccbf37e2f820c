package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/cron"
)

// previewDefault is how many ticks a preview shows.
const previewDefault = 10

// preview is what the query of a preview asks for.
type preview struct {
	n     int
	cron  string
	rules engine.TimeRules // Seconds and DST; jitter depends on the id of a schedule
}

// scheduleNext is GET /v2/schedules/{id}/next: when a schedule publishes next.
func (x *exchange) scheduleNext() error {
	var p preview
	if fail := p.read(x.query, false); fail != nil {
		return fail
	}
	if err := x.maySchedule(string(x.arg)); err != nil {
		return err
	}
	ticks, err := x.srv.opt.Engine.ScheduleTicks(x.user, string(x.arg), p.n)
	if err != nil {
		return err
	}
	return x.answerTicks(ticks)
}

// previewCron is GET /v2/schedules/next?cron=: the same for an expression of which
// there is no schedule yet. It may be called with an expression that is wrong, to
// learn why.
func (x *exchange) previewCron() error {
	var p preview
	if fail := p.read(x.query, true); fail != nil {
		return fail
	}
	ticks, err := engine.PreviewTicks(p.cron, p.rules, x.srv.opt.Now(), p.n)
	if err != nil {
		return err
	}
	return x.answerTicks(ticks)
}

// read takes the parameters of a preview, with those of an expression or without.
// The query is all ours, so that a name which is misspelt is refused.
func (p *preview) read(query []byte, expression bool) *failure {
	p.n = previewDefault
	return eachParam(query, func(name, value string) *failure { return p.set(name, value, expression) })
}

// set takes one parameter. An empty one is absent, but for n and the expression.
func (p *preview) set(name, value string, expression bool) *failure {
	switch {
	case name == "n":
		n, ok := digits([]byte(value))
		if !ok || n < 1 || n > engine.PreviewMax {
			return badFilter(name, value, "a number from 1 to "+strconv.Itoa(engine.PreviewMax))
		}
		p.n = int(n)
	case expression && name == "cron":
		p.cron = value
	case expression && name == "seconds":
		if p.rules.Seconds = strings.EqualFold(value, "true"); !p.rules.Seconds && value != "" && !strings.EqualFold(value, "false") {
			return badFilter(name, value, "true or false")
		}
	case expression && name == "dst":
		dst, ok := cron.ParseDST(value)
		if !ok && value != "" {
			return badFilter(name, value, "fire-once, skip or both")
		}
		p.rules.DST = dst
	default:
		return badRequest("unknown parameter %s: a preview takes n, and that of an expression cron, seconds and dst", short(name))
	}
	return nil
}

// hasParam says whether a query has a parameter, empty or not.
func hasParam(query []byte, name string) bool {
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		if n, _ := cutParam(pair); string(unescapeForm(n)) == name {
			return true
		}
	}
	return false
}

// localTime is RFC 3339 with the zone's offset, and milliseconds where there are any.
const localTime = "2006-01-02T15:04:05.999Z07:00"

func (x *exchange) answerTicks(ticks []engine.PreviewTick) error {
	o := obj{b: x.out[:0]}
	o.key("next")
	o.b = append(o.b, '[')
	for i := range ticks {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		in := obj{b: o.b}
		in.tick(&ticks[i])
		o.b = in.end()
	}
	o.b = append(o.b, ']')
	x.out = o.end()
	return x.ok(http.StatusOK)
}

func (o *obj) tick(t *engine.PreviewTick) {
	o.time("time", t.Time)
	o.str("local", t.Time.Format(localTime))
	o.flag("skipped", t.Skipped)
	o.opt("note", t.Note)
}
