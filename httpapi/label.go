package httpapi

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/engine"
)

// labels parses a comma-separated list of labels, with spaces around them or not. Their
// order is kept; what is there twice counts once, an empty element is none. They alias v.
func labels(v []byte) (ls []string, fail *failure) {
	for more := true; more; {
		var part []byte
		part, v, more = bytes.Cut(v, []byte{','})
		if part = trimSpace(part); len(part) == 0 || slices.Contains(ls, view(part)) {
			continue
		}
		if !isName(part) || len(part) > engine.LabelMax {
			return nil, badOption(optLabel, part, fmt.Sprintf("a label must be at most %d of the characters A-Z a-z 0-9 . _ -", engine.LabelMax))
		}
		ls = append(ls, view(part))
	}
	if len(ls) > engine.LabelsMax {
		return nil, badRequest("invalid Upstash-Label: %d labels, a message has at most %d", len(ls), engine.LabelsMax)
	}
	return ls, nil
}

const redactFields = "must be a comma-separated list of body, headers and headers[Name], such as body, headers[Authorization]"

// redact parses what views of a message hide (QSTASH.md §10). Names are made canonical
// in place, and alias v.
func redact(v []byte) (r engine.Redact, fail *failure) {
	for more := true; more; {
		var part []byte
		part, v, more = bytes.Cut(v, []byte{','})
		part = trimSpace(part)
		word, name, named := cutBracket(part)
		header := equalFold(word, "header") || equalFold(word, "headers")
		switch {
		case equalFold(part, "body"):
			r.Body = true
		case header && !named:
			r.Headers = true
		case header && isToken(name):
			if name = canonical(name); !slices.Contains(r.Names, view(name)) {
				r.Names = append(r.Names, view(name))
			}
		default:
			return r, badOption(optRedact, part, redactFields)
		}
	}
	switch {
	case r.Headers:
		r.Names = nil
	case len(r.Names) > engine.RedactNamesMax:
		return r, badRequest("invalid Upstash-Redact-Fields: it names more than %d headers", engine.RedactNamesMax)
	}
	return r, nil
}

// cutBracket cuts headers[Name] into its two words; blanks around them are allowed.
func cutBracket(part []byte) (word, name []byte, ok bool) {
	word, name, ok = bytes.Cut(part, []byte{'['})
	if !ok {
		return word, nil, false
	}
	if !bytes.HasSuffix(name, []byte{']'}) {
		return nil, nil, true
	}
	return trimSpace(word), trimSpace(name[:len(name)-1]), true
}

// labels writes the labels of a message or a schedule: the first one, and all
// (QSTASH.md §13, 19).
func (o *obj) labels(ls []string) {
	if len(ls) == 0 {
		return
	}
	o.str("label", ls[0])
	o.key("labels")
	for i, l := range ls {
		o.b = appendString(append(o.b, "[,"[min(i, 1)]), l)
	}
	o.b = append(o.b, ']')
}
