package httpapi

import (
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

// publishGroup publishes x.pub's message to all endpoints of its URL group, or to
// none. The answer is a list, one for each (QSTASH.md §3.8).
func (x *exchange) publishGroup() error {
	members, err := x.srv.opt.Engine.PublishGroup(&x.pub.message)
	if err != nil {
		return err
	}
	x.out = appendMembers(x.out, members)
	if allDuplicates(members) {
		return x.ok(http.StatusAccepted)
	}
	return x.ok(http.StatusOK)
}

func allDuplicates(members []engine.MemberReceipt) bool {
	for i := range members {
		if !members[i].Deduplicated {
			return false
		}
	}
	return true
}

func appendMembers(dst []byte, members []engine.MemberReceipt) []byte {
	dst = append(dst, '[')
	for i := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := obj{b: dst}
		o.str("messageId", members[i].MessageID)
		o.opt("url", members[i].URL) // unknown where a message to a single URL was the first
		if members[i].Deduplicated {
			o.flag("deduplicated", true)
		}
		dst = o.end()
	}
	return append(dst, ']')
}

// groupDefaults returns the options of every publish to a group. They are those of
// now, for what a schedule publishes later too.
func (x *exchange) groupDefaults(name []byte) ([]engine.Header, *failure) {
	g, err := x.srv.opt.Engine.Group(x.user, string(name))
	if err == nil {
		return g.Header, nil
	}
	if fail := failureOf(err); fail != nil {
		return nil, fail
	}
	return nil, x.logUnexpected(err)
}

// addDefaults takes the options of a group but for forwarded headers. What the sender
// says goes before them.
func (p *publisher) addDefaults(hs []engine.Header) *failure {
	return p.addGroup(hs, false)
}

// addDefaultForwards takes the headers that a group forwards. They come last: even
// what Upstash-Header-Forward takes from the request goes before them.
func (p *publisher) addDefaultForwards(hs []engine.Header) *failure {
	return p.addGroup(hs, true)
}

func (p *publisher) addGroup(hs []engine.Header, forwards bool) *failure {
	p.nextSource()
	for i := range hs {
		name := []byte(hs[i].Name) // a copy: it is made canonical in place
		if isForward(name) != forwards {
			continue
		}
		if fail := p.add(name, []byte(hs[i].Value), fromGroup); fail != nil {
			return fail
		}
	}
	return nil
}

func isForward(name []byte) bool { return hasPrefixFold(name, optionPrefix+forwardPrefix) }
