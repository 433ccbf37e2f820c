package httpapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/tidemill/tidemill/engine"
)

// previewDefault is how many ticks a preview shows.
const previewDefault = 10

// preview is what the query of a preview asks for.
type preview struct {
	n     int
	rules publisher // cron and its rules only
}

// scheduleNext is GET /v2/schedules/{id}/next: when a schedule publishes next.
func (x *exchange) scheduleNext() error {
	var p preview
	if fail := p.read(x.query, false); fail != nil {
		return fail
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
	expression := view(p.rules.values[optCron])
	ticks, err := engine.PreviewTicks(expression, p.rules.rules, x.srv.opt.Now(), p.n)
	if err != nil {
		return cronFailure(expression, err)
	}
	return x.answerTicks(ticks)
}

// cronFailure answers 400 to whatever is wrong with an expression.
func cronFailure(expression string, err error) *failure {
	if limit, ok := errors.AsType[*engine.LimitError](err); ok {
		return limitFailure(limit)
	}
	return badRequest("invalid cron %s: %v", short(expression), err)
}

// previewParams are the parameters that stand for options of an expression. Jitter
// is not among them: it depends on the id of a schedule.
var previewParams = map[string]option{"cron": optCron, "seconds": optCronSeconds, "dst": optDST}

// read takes the parameters of a preview, with those of an expression or without.
// The query is all ours, so that a name which is misspelt is refused.
func (p *preview) read(query []byte, expression bool) *failure {
	p.n = previewDefault
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		rawName, rawValue := cutParam(pair)
		if len(pair) == 0 || paramKind(rawName) != paramForeign {
			continue
		}
		if fail := p.add(string(unescapeForm(rawName)), trimSpace(unescapeForm(rawValue)), expression); fail != nil {
			return fail
		}
	}
	return nil
}

func (p *preview) add(name string, value []byte, expression bool) *failure {
	opt, known := previewParams[name]
	switch {
	case name == "n":
		n, ok := digits(value)
		if !ok || n < 1 || n > engine.PreviewMax {
			return badFilter(name, string(value), "a number from 1 to "+strconv.Itoa(engine.PreviewMax))
		}
		p.n = int(n)
		return nil
	case !known || !expression:
		return badRequest("unknown parameter %s: a preview takes n, and that of an expression cron, seconds and dst", short(name))
	}
	if fail := p.rules.set(opt, value, fromQuery); fail != nil || len(value) == 0 {
		return fail
	}
	return p.rules.parseRule(opt, value)
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
