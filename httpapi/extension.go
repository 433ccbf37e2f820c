package httpapi

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/cron"
)

// extensionPrefix begins the names of our own options, which the contract does
// not have (EXTENSIONS.md). They are header lines, of a request or of a batch
// element, and under these names never query parameters: a query belongs to the
// destination. The official clients write Upstash-Forward- before every header that
// they do not know, so that form means the same, in a query too, and none of them is
// ever forwarded.
const extensionPrefix = "tidemill-"

// addExtension takes an option whose name is without the prefix. A name that is
// not known is refused: the names are ours alone, so it is misspelt.
func (p *publisher) addExtension(name, value []byte, from int) *failure {
	opt := extensionOf(name)
	if opt == optNone && len(value) > 0 {
		return badRequest("unknown option Tidemill-%s: the options are Tidemill-Ordering-Key, -Flow-Control-Mode, -Cron-Seconds, -Dst, -Missed, -Missed-Max, -Missed-Window and -Jitter",
			short(name))
	}
	if opt == optNone {
		return nil
	}
	return p.set(opt, value, from)
}

func extensionOf(name []byte) option {
	for opt := optOrdering; opt < optCount; opt++ {
		if rest := optionNames[opt][len(extensionPrefix):]; strings.EqualFold(view(name), rest) {
			return opt
		}
	}
	return optNone
}

// parseRule checks one option of a schedule's time.
func (p *publisher) parseRule(opt option, v []byte) (fail *failure) {
	r := &p.rules
	ok := true
	switch opt {
	case optCronSeconds:
		r.Seconds, fail = boolean(optionNames[opt], v)
	case optDST:
		if r.DST, ok = cron.ParseDST(view(v)); !ok {
			fail = badOption(opt, v, "must be fire-once, skip or both")
		}
	case optMissed:
		if r.Missed, ok = engine.ParseMissed(view(v)); !ok {
			fail = badOption(opt, v, "must be latest, skip or all")
		}
	case optMissedMax:
		n, ok := digits(v)
		if !ok || n < 1 || n > engine.MissedMaxMax {
			return badOption(opt, v, fmt.Sprintf("must be a whole number from 1 to %d", engine.MissedMaxMax))
		}
		r.MissedMax = int(n)
	case optMissedWindow:
		r.MissedWindow, fail = duration(optionNames[opt], v, time.Second, engine.MissedWindowMax)
	case optJitter:
		r.Jitter, fail = duration(optionNames[opt], v, 0, engine.JitterMax)
	}
	return fail
}

// checkRules refuses options that have no effect beside the others, rather than
// ignoring them.
func (p *publisher) checkRules() *failure {
	switch r := &p.rules; {
	case r.MissedMax != 0 && r.Missed != engine.MissedAll:
		return badOption(optMissedMax, p.values[optMissedMax], "it has a meaning with Tidemill-Missed: all only")
	case r.MissedWindow != 0 && r.Missed == engine.MissedSkip:
		return badOption(optMissedWindow, p.values[optMissedWindow], "it has no meaning with Tidemill-Missed: skip")
	}
	return nil
}

// refuseRules refuses the options of schedules on a message that is none.
func (p *publisher) refuseRules() *failure {
	for opt := optCronSeconds; opt < optCount; opt++ {
		if p.values[opt] != nil {
			return badOption(opt, p.values[opt], "it is an option of schedules, and needs an Upstash-Cron")
		}
	}
	return nil
}
