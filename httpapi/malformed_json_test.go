package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestMalformedBodies takes the example of every JSON body in the document and breaks it
// in every place: not one of the texts may be answered with a 5xx, what is refused
// changes nothing, and what is accepted must be what the document allows (which the
// record of the connection shows).
func TestMalformedBodies(t *testing.T) {
	p := newProber(t)
	defer p.done()
	doc, err := checked()
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range doc.Operations() {
		example, ok := op.BodyExample()
		if !ok {
			continue
		}
		if example == nil {
			t.Errorf("%s has no example of its body", op)
			continue
		}
		line := op.Method + " " + samplePath(op.Path)
		for _, text := range brokenTexts(render(example, nil, "")) {
			if a := p.probe(requestBody(line, text)); a.StatusCode < 400 && text != "" {
				p.complain("%s with the body %.200q: %d %s", op, text, a.StatusCode, a.body)
			}
		}
		for i, path := range paths(example, nil) {
			if i%malformedEach != 0 {
				continue
			}
			for _, raw := range brokenValues {
				p.probe(requestBody(line, render(example, path, raw)))
			}
			p.probe(requestBody(line, render(example, path, leaveOut)))
			if name := path[len(path)-1]; !strings.HasPrefix(name, "[") {
				p.probe(requestBody(line, render(example, path, twice)))
			}
		}
		p.accept2xx4xx(requestBody(line, render(example, nil, "")))
	}
}

// accept2xx4xx sends what is right: the thing that it is about may not be there.
func (p *prober) accept2xx4xx(raw string) {
	p.t.Helper()
	if a := p.probe(raw); a.StatusCode == 400 {
		p.complain("%.300q is right: %d %s", raw, a.StatusCode, a.body)
	}
}

// brokenTexts are bodies that are wrong as a whole.
func brokenTexts(good string) []string {
	return []string{
		"", " ", "null", "true", "7", `"x"`, "[", "{", "}", "[}", "{]", "\x00", "\xff", "\xef\xbb\xbf" + good, good + good, good + ",", good[:len(good)-1], good[:len(good)/2],
		"'" + good + "'", strings.ReplaceAll(good, `"`, "'"), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000), "[[[[[[[[[[[[]]]]]]]]]]]]", "queueName=orders&name=x", "<a/>",
		"/*" + good + "*/", good + "//", "NaN", "{\"\\u0000\":1", `{"a":1e}`, `{"a":01}`, `{"a":"` + "\n" + `"`, `{"a":"\x"}`,
	}
}

// brokenValues are JSON values that hardly any member is to have.
var brokenValues = []string{
	"null", "true", "0", "-1", "1.5", "1e400", "-1e400", "99999999999999999999", "1e3", `""`, `" "`, `"\u0000"`, `"a\r\nX: y"`, `"\ud800"`, "\"\xff\xfe\"", `"é"`, `".."`, `"a/b"`, `"1"`,
	`"` + strings.Repeat("k", 70_000) + `"`, "[]", "{}", "[[]]", "[null]", "[1]", `[""]`, `{"":""}`, `[{}]`, `[{"url":1}]`, strings.Repeat("[", 60) + strings.Repeat("]", 60),
	"[" + strings.Repeat(`"k",`, 2_000) + `"k"]`,
}

// What render writes in place of a value.
const (
	leaveOut = "leave it out"
	twice    = "write it twice"
)

// render writes v as JSON, with raw in place of what is at path, if there is a path.
func render(v any, path []string, raw string) string {
	if len(path) == 0 && raw != "" && raw != leaveOut && raw != twice {
		return raw
	}
	var parts []string
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			in, r, here := below(path, name, raw)
			member := fmt.Sprintf("%q:%s", name, render(v[name], in, r))
			switch {
			case here && raw == twice:
				parts = append(parts, fmt.Sprintf("%q:%s", name, render(v[name], nil, "")), fmt.Sprintf("%q:%s", name, render(v[name], nil, "")))
			case !here || raw != leaveOut:
				parts = append(parts, member)
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		for i := range v {
			in, r, here := below(path, fmt.Sprintf("[%d]", i), raw)
			if !here || raw != leaveOut {
				parts = append(parts, render(v[i], in, r))
			}
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// below returns what is left of a path below a member, what to write there, and whether
// it ends there.
func below(path []string, name, raw string) (rest []string, r string, here bool) {
	if len(path) == 0 || path[0] != name {
		return nil, "", false
	}
	return path[1:], raw, len(path) == 1
}

// paths lists the places in v, the outermost first.
func paths(v any, at []string) (all [][]string) {
	add := func(name string, in any) {
		here := append(slices.Clone(at), name)
		all = append(append(all, here), paths(in, here)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			add(name, v[name])
		}
	case []any:
		for i := range v {
			add(fmt.Sprintf("[%d]", i), v[i])
		}
	}
	return all
}

// TestMalformedParameters gives every parameter of every query, and every path, what it
// is not to have.
func TestMalformedParameters(t *testing.T) {
	p := newProber(t)
	defer p.done()
	doc, err := checked()
	if err != nil {
		t.Fatal(err)
	}
	values := []string{
		"", "x", "-1", "0", "1.5", "1e18", "1000000000000000000", "99999999999999999999", "%00", "%ff", "%0d%0aX:%20y", "%", "%zz", "a%2Cb", ",", "%5B%5D", "..", longest(20_000),
		strings.Repeat("a,", 5_000),
	}
	for _, op := range doc.Operations() {
		if op.Streams() {
			continue
		}
		line := op.Method + " " + samplePath(op.Path) + "?"
		for _, name := range op.QueryNames() {
			for i, v := range values {
				if (i+len(name))%malformedEach == 0 {
					p.probe(request(line + name + "=" + v))
				}
			}
			p.probe(request(line + name + "=1&" + name + "=2"))
			p.probe(request(line + name))
			p.probe(request(line + strings.Repeat(name+"=1&", 1_100)))
		}
		p.probe(request(line + strings.Repeat("&", 1_000) + "unknown=1&=2&&=&%00=%00"))
		p.badPaths(op.Method, op.Path)
	}
}

// badPaths puts what no name and no id is in the place of each parameter of a path.
func (p *prober) badPaths(method, path string) {
	p.t.Helper()
	for _, v := range []string{"", ".", "..", "%2e%2e", "%00", "%ff", "%0d%0a", "a%2fb", "%", "a%20b", "-1", "99999999999999999999", "tpc_", "ept_YQ", "msg_", longest(20_000)} {
		before, rest, found := strings.Cut(path, "{")
		if !found {
			break
		}
		_, after, _ := strings.Cut(rest, "}")
		p.probe(request(method + " " + before + v + samplePath(after)))
	}
	p.probe(request(method + " " + samplePath(path) + "\xc3\xa9"))
	p.probe(request(method + " " + samplePath(path) + "#x"))
	p.probe(request(method + " /" + samplePath(path)))
	p.probe(request(method + " " + samplePath(path) + "//"))
	p.probe(request(method + " " + strings.Replace(samplePath(path), "/v", "/./v", 1)))
	p.probe(request(method + " " + strings.Replace(samplePath(path), "/v2/", "/v2/../v2/", 1)))
}
