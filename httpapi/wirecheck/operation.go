package wirecheck

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Operation is one method of one path of the document.
type Operation struct {
	Method, Path string

	item   *openapi3.PathItem
	spec   *openapi3.Operation
	match  *regexp.Regexp
	params []string // what the groups of match are
	weight int      // how specific the path is
}

func (o *Operation) String() string { return o.Method + " " + o.Path }

// takes says whether the body of a request may be of a media type.
func (o *Operation) takes(mediaType string) bool {
	return o.spec.RequestBody != nil && o.spec.RequestBody.Value.Content[mediaType] != nil
}

// anything is the media type of a body that is passed on.
const anything = "*/*"

func (o *Operation) takesJSON() bool { return o.takes("application/json") }

// restParam marks, in the document, a path parameter that may hold slashes.
const restParam = "x-tidemill-rest"

// operationsOf lists the operations. The routers that come with kin-openapi clean
// paths, and so cannot find the destination that ends one of ours.
func operationsOf(spec *openapi3.T) ([]*Operation, error) {
	var out []*Operation
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			o := &Operation{Method: method, Path: path, item: item, spec: op}
			if err := o.compile(); err != nil {
				return nil, err
			}
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *Operation) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return out, nil
}

// compile makes the expression that the raw path of a request is held against:
// literal segments in any case, a parameter for one segment that is not empty, one
// that is marked for any number of them. A collection may have a slash at its end.
func (o *Operation) compile() error {
	var re strings.Builder
	re.WriteString("(?i)^")
	for segment := range strings.SplitSeq(o.Path[1:], "/") {
		name, isParam := strings.CutPrefix(segment, "{")
		if !isParam {
			re.WriteString("/" + regexp.QuoteMeta(segment))
			o.weight += 4
			continue
		}
		name = strings.TrimSuffix(name, "}")
		p := o.param(name)
		if p == nil {
			return fmt.Errorf("%s has no parameter %s", o, name)
		}
		o.params = append(o.params, name)
		if p.Extensions[restParam] == true {
			re.WriteString("/(.+)")
			continue
		}
		re.WriteString("/([^/]+)")
		o.weight++
	}
	if !strings.HasSuffix(o.Path, "}") {
		re.WriteString("/?")
	}
	re.WriteString("$")
	o.match = regexp.MustCompile(re.String())
	return nil
}

func (o *Operation) param(name string) *openapi3.Parameter {
	if p := o.spec.Parameters.GetByInAndName(openapi3.ParameterInPath, name); p != nil {
		return p
	}
	return o.item.Parameters.GetByInAndName(openapi3.ParameterInPath, name)
}

// Find returns the operation of a request with this method and raw path, without the
// query, and the parameters of the path; nil if the document has none.
func (d *Document) Find(method, path string) (*Operation, map[string]string) {
	for _, o := range d.operations {
		if o.Method != method {
			continue
		}
		if m := o.match.FindStringSubmatch(path); m != nil {
			params := make(map[string]string, len(o.params))
			for i, name := range o.params {
				params[name] = m[i+1]
			}
			return o, params
		}
	}
	return nil, nil
}

// Operations returns all operations of the document.
func (d *Document) Operations() []*Operation { return slices.Clone(d.operations) }

// BodyExample returns the JSON example of a request's body; ok is false where there is
// no such body.
func (o *Operation) BodyExample() (example any, ok bool) {
	if !o.takesJSON() {
		return nil, false
	}
	return o.spec.RequestBody.Value.Content["application/json"].Example, true
}

// QueryNames returns the names of the parameters that a query has.
func (o *Operation) QueryNames() (names []string) {
	for _, ps := range []openapi3.Parameters{o.item.Parameters, o.spec.Parameters} {
		for _, p := range ps {
			if p.Value.In == openapi3.ParameterInQuery {
				names = append(names, p.Value.Name)
			}
		}
	}
	return names
}

// Streams says whether a success is answered with server-sent events, which go on.
func (o *Operation) Streams() bool {
	ok := o.spec.Responses.Status(http.StatusOK)
	return ok != nil && ok.Value.Content["text/event-stream"] != nil
}
