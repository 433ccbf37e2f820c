package main

import (
	"slices"
	"time"
)

// turned is the id of the schedule that is changed between the strikes.
const turned = "turned"

// change is a request about the schedule that is changed between the strikes.
type change struct {
	sent, answered int64  // unix ms; answered is 0 if no 2xx came
	pause          bool   // it asks for a pause; else it ends one
	cron           string // the expression it defines, "" if it leaves that alone
}

// turn pauses or resumes the one schedule, or defines it with one of two expressions.
func (k *ticks) turn() {
	c := change{sent: time.Now().UnixMilli()}
	ok := false
	switch n := k.c.rnd.IntN(4); {
	case n == 0 || !slices.ContainsFunc(k.changes, func(c change) bool { return c.answered != 0 }):
		c.cron = []string{crashEverySecond, crashEveryOther}[k.c.rnd.IntN(2)]
		ok = k.post(turned, c.cron)
	case n == 1:
		_, ok = k.send("PATCH", "/v2/schedules/"+turned+"/resume")
	default:
		c.pause = true
		_, ok = k.send("PATCH", "/v2/schedules/"+turned+"/pause")
	}
	if ok {
		c.answered = time.Now().UnixMilli()
	}
	k.changes = append(k.changes, c)
}

// keeps checks that the log goes by what was answered, from each answer to the next
// request: paused it publishes nothing, else each tick of its expression and no other.
// Of a request without an answer nothing is known.
func (h *chain) keeps(changes []change, end int64) (windows int) {
	step := int64(0) // of the expression in force, 0: that is not known
	for i, c := range changes {
		until := end
		if i+1 < len(changes) {
			until = changes[i+1].sent
		}
		if c.cron != "" {
			step = 0
			if c.answered != 0 {
				step = crashCrons[c.cron]
			}
		}
		if c.answered != 0 && (c.pause || step != 0) {
			windows++
			h.keepsOne(&c, span{c.answered + 1, until}, step)
		}
	}
	return windows
}

func (h *chain) keepsOne(c *change, s span, step int64) {
	for tick := (s.from + 999) / 1000 * 1000; tick < s.to; tick += 1000 {
		_, published := h.published[tick]
		switch want := !c.pause && tick%step == 0; {
		case published && !want:
			h.complain("tick %s was published after the answer of %s to %+v", clock(tick), clock(c.answered), *c)
		case want && !published && h.e.uptime(span{tick, s.to}) > patience && !h.gone[tick]:
			h.complain("tick %s was not published after the answer of %s to %+v", clock(tick), clock(c.answered), *c)
		}
	}
}
