package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// TestLabels: labels and redaction in each form in which a message is published.
func TestLabels(t *testing.T) {
	const plain = "POST /v2/publish/https://h.test/p"
	full := strings.Repeat("l", engine.LabelMax)
	ten := "a,b,c,d,e,f,g,h,i,j"
	for _, c := range []struct {
		name    string
		line    string
		headers []string
		body    string
		want    string // labels, what is redacted; or the error
	}{
		{"one", plain, []string{"Upstash-Label: billing"}, "", "[billing] {false false []}"},
		{"several, in order", plain, []string{"upstash-label: b, a ,c"}, "", "[b a c] {false false []}"},
		{"twice the same", plain, []string{"Upstash-Label: b,a,b,,"}, "", "[b a] {false false []}"},
		{"two lines", plain, []string{"Upstash-Label: b", "Upstash-Label: a"}, "", "[b a] {false false []}"},
		{"query", plain + "?upstash-label=a%2Cb&x=1", nil, "", "[a b] {false false []}"},
		{"form", plain + "?upstash-label=a,+b", nil, "", "[a b] {false false []}"},
		{"the header wins", plain + "?upstash-label=q", []string{"Upstash-Label: h"}, "", "[h] {false false []}"},
		{"empty", plain, []string{"Upstash-Label:"}, "", "[] {false false []}"},
		{"ten", plain, []string{"Upstash-Label: " + ten}, "", "[" + strings.ReplaceAll(ten, ",", " ") + "] {false false []}"},
		{"the longest", plain, []string{"Upstash-Label: " + full}, "", "[" + full + "] {false false []}"},
		{"batch", "POST /v2/batch", nil, `[{"destination":"http://h","headers":{"upstash-label":["x","y"],"Upstash-Redact-Fields":"body"}}]`, "[x y] {true false []}"},
		{"body", plain, []string{"Upstash-Redact-Fields: body"}, "", "[] {true false []}"},
		{"client's form", plain, []string{"Upstash-Redact-Fields: body,header[Authorization]"}, "", "[] {true false [Authorization]}"},
		{"curl's form", plain, []string{"Upstash-Redact-Fields: body, headers[authorization] , HEADER[x-own],header[X-OWN]"}, "", "[] {true false [Authorization X-Own]}"},
		{"all headers", plain, []string{"Upstash-Redact-Fields: header[X],headers"}, "", "[] {false true []}"},
		{"the other word", plain, []string{"Upstash-Redact-Fields: header"}, "", "[] {false true []}"},
		{"redact by query", plain + "?upstash-redact-fields=body,+header%5BX%5D", nil, "", "[] {true false [X]}"},

		{"a space in it", plain, []string{"Upstash-Label: a b"}, "", `invalid Upstash-Label "a b": a label must`},
		{"too long", plain, []string{"Upstash-Label: " + full + "l"}, "", "a label must be at most 128 of"},
		{"eleven", plain, []string{"Upstash-Label: " + ten + ",k"}, "", "11 labels, a message has at most 10"},
		{"unknown field", plain, []string{"Upstash-Redact-Fields: body,query"}, "", `invalid Upstash-Redact-Fields "query": must be`},
		{"no field", plain, []string{"Upstash-Redact-Fields: body,"}, "", `invalid Upstash-Redact-Fields "": must be`},
		{"no name", plain, []string{"Upstash-Redact-Fields: header[]"}, "", `invalid Upstash-Redact-Fields "header[]": must be`},
		{"a name that is none", plain, []string{"Upstash-Redact-Fields: header[a b]"}, "", `invalid Upstash-Redact-Fields "header[a b]": must be`},
		{"no end", plain, []string{"Upstash-Redact-Fields: header[X"}, "", `invalid Upstash-Redact-Fields "header[X": must be`},
		{"body of something", plain, []string{"Upstash-Redact-Fields: body[X]"}, "", `invalid Upstash-Redact-Fields "body[X]": must be`},
		{"too many names", plain, []string{"Upstash-Redact-Fields: " + manyHeaders(101)}, "", "it names more than 100 headers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, nil)
			a, _ := s.send(t, requestBody(c.line, c.body, c.headers...))
			if a.StatusCode >= 400 {
				if a.StatusCode != 400 || !strings.Contains(a.body, strings.ReplaceAll(c.want, `"`, `\"`)) || len(s.eng.published) > 0 {
					t.Fatalf("%d %s, want %s", a.StatusCode, a.body, c.want)
				}
				return
			}
			p := s.eng.published[0]
			if got := fmt.Sprint(p.Labels, p.Redact); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func manyHeaders(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",header[X-%d]", i)
	}
	return b.String()[1:]
}

// TestLabelViews: a view shows the first label and all, in their order (QSTASH.md §13, 19).
func TestLabelViews(t *testing.T) {
	o := obj{}
	o.message(&engine.Message{ID: "m", Labels: []string{"b", "a"}})
	if got := string(o.end()); !strings.Contains(got, `"label":"b","labels":["b","a"]`) {
		t.Error(got)
	}
	o = obj{}
	o.schedule(&engine.ScheduleInfo{ID: "s", Labels: []string{"only"}})
	if got := string(o.end()); !strings.Contains(got, `"label":"only","labels":["only"]`) {
		t.Error(got)
	}
}
