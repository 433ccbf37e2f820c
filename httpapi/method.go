package httpapi

import (
	"bytes"
	"net/http"
	"strings"
)

// match knows the methods of the routes. What follows from them for all routes alike is
// here: HEAD asks for what GET would answer, OPTIONS what may be asked at all, and a 405
// says so too.

// methods are those that routes have, in the order in which they are told.
var methods = [...]string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete}

var publishPath = []byte("/v2/publish/")

// find is match for every method. A HEAD of what is more than a question, such as a
// publish, which GET can be too, is refused: its sender would not expect a message.
func find(method string, path []byte) (r *route, arg []byte, fail *failure) {
	switch method {
	case http.MethodPost:
		if to, ok := bytes.CutPrefix(path, publishPath); ok { // match would say so too, by and by
			return routePublish, to, nil
		}
		r, arg, fail = match(method, path)
	case http.MethodOptions:
		list := allowed(path)
		if len(list) == 0 {
			return nil, nil, errNoRoute
		}
		return routeOptions, []byte(allowHeader(path, list)), nil
	case http.MethodHead:
		r, arg, fail = match(http.MethodGet, path)
		if r != nil && !r.hasHead() {
			r, fail = nil, errMethod
		}
	default:
		r, arg, fail = match(method, path)
	}
	if fail != nil && fail.status == http.StatusMethodNotAllowed {
		r, fail = nil, wrongMethod(path)
	}
	return r, arg, fail
}

// hasHead says whether what a GET answers has an end, and changes nothing.
func (r *route) hasHead() bool { return (r.access == accessRead || r.secret) && !r.endless }

// allowed asks the routes which methods a path has. Where none has it, those count that
// find something else wrong with it than the method, such as an id that is empty.
func allowed(path []byte) (list []string) {
	var nearly []string
	for _, m := range methods {
		switch _, _, fail := match(m, path); {
		case fail == nil:
			list = append(list, m)
		case fail.status != http.StatusNotFound && fail.status != http.StatusMethodNotAllowed:
			nearly = append(nearly, m)
		}
	}
	if list == nil {
		return nearly
	}
	return list
}

// wrongMethod names in its text the methods that do something here.
func wrongMethod(path []byte) *failure {
	list := allowed(path)
	return &failure{
		status: http.StatusMethodNotAllowed,
		text:   "method not allowed here, allowed: " + strings.Join(list, ", "),
		allow:  allowHeader(path, list),
	}
}

// allowHeader is list for an Allow header, with what every path can be asked.
func allowHeader(path []byte, list []string) string {
	if r, _, _ := match(http.MethodGet, path); r != nil && r.hasHead() {
		list = append(list, http.MethodHead)
	}
	return strings.Join(append(list, http.MethodOptions), ", ")
}

// routeOptions is OPTIONS of every path that a route has. It is public, as a browser
// asks without a token before it lets a page send one; and it tells nothing that
// /openapi.json does not.
var routeOptions = &route{name: "options", access: accessRead, public: true, serve: (*exchange).options}

func (x *exchange) options() error {
	x.allow = string(x.arg)
	x.out = x.out[:0]
	return x.ok(http.StatusNoContent)
}
