package httpapi

import (
	"math"
	"net/http"
	"slices"
)

// cutBody cuts the JSON object that a body is; want says what should be in it.
// Members that member has no place for are ignored.
func (x *exchange) cutBody(want string, member func(name []byte) *[]byte) *failure {
	if fail := checkJSON(x.body.b); fail != nil {
		return fail
	}
	if fail := cutMembers(&cursor{b: x.body.b}, member); fail != nil {
		return badRequest("the body must be a JSON object with %s: %s", want, fail.text)
	}
	return nil
}

// The readers of one member: nil and null are an absent one.

func isAbsent(raw []byte) bool { return raw == nil || isNull(raw) }

// stringMember returns the text of a string, nil for an absent one. It is decoded in
// place, so it is read once.
func stringMember(name string, raw []byte) ([]byte, *failure) {
	if isAbsent(raw) {
		return nil, nil
	}
	s, ok := text(raw)
	if !ok || !isFieldValue(s) {
		return nil, badRequest("%s must be a string without control characters", name)
	}
	return s, nil
}

// numberMember returns a whole number of at least 1.
func numberMember(name string, raw []byte) (*int, *failure) {
	if isAbsent(raw) {
		return nil, nil
	}
	n, ok := digits(raw)
	if !ok || n < 1 {
		return nil, badValue(name, raw, "must be a whole number of 1 or more")
	}
	v := int(min(n, math.MaxInt32))
	return &v, nil
}

func boolMember(name string, raw []byte) (*bool, *failure) {
	v := string(raw) == "true"
	switch {
	case isAbsent(raw):
		return nil, nil
	case !v && string(raw) != "false":
		return nil, badValue(name, raw, "must be true or false")
	}
	return &v, nil
}

// eachParam calls fn with every parameter of a query that is all ours, decoded. One
// that is there twice is refused; the token and what begins with upstash- are skipped.
func eachParam(query []byte, fn func(name, value string) *failure) *failure {
	var seen []string
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		rawName, rawValue := cutParam(pair)
		if len(pair) == 0 || paramKind(rawName) != paramForeign {
			continue
		}
		name := string(unescapeForm(rawName))
		if slices.Contains(seen, name) {
			return badRequest("more than one %s", name)
		}
		seen = append(seen, name)
		if fail := fn(name, string(trimSpace(unescapeForm(rawValue)))); fail != nil {
			return fail
		}
	}
	return nil
}

// list answers a JSON array of n objects, however large it is.
func (x *exchange) list(n int, item func(o *obj, i int)) error {
	x.out = append(x.out[:0], '[')
	for i := range n {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		o := obj{b: x.out}
		item(&o, i)
		x.out = o.end()
		if err := x.spill(); err != nil {
			return err
		}
	}
	x.out = append(x.out, ']')
	return x.ok(http.StatusOK)
}

// one answers one object.
func (x *exchange) one(write func(o *obj)) error {
	o := obj{b: x.out[:0]}
	write(&o)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// done answers an operation that has nothing to tell.
func (x *exchange) done() error {
	x.out = append(x.out[:0], `{}`...)
	return x.ok(http.StatusOK)
}
