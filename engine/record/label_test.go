package record

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sampleLabelMessage has labels, and shows none of what it holds.
func sampleLabelMessage() Message {
	m := sample()
	m.Labels, m.Redact = []string{"billing", "eu.west-1"}, Redact{Body: true, Headers: true, Names: []string{"Authorization", "X-Twice"}}
	return m
}

func drawLabels(t *rapid.T, m *Message) {
	for range rapid.IntRange(0, LabelsMax).Draw(t, "labels") {
		m.Labels = append(m.Labels, string(rapid.SliceOfN(rapid.Byte(), 1, LabelMax).Draw(t, "label")))
	}
	m.Redact.Body, m.Redact.Headers = rapid.Bool().Draw(t, "redact body"), rapid.Bool().Draw(t, "redact headers")
	for range rapid.IntRange(0, 3).Draw(t, "redacted names") {
		m.Redact.Names = append(m.Redact.Names, "n"+text(t, "redacted name"))
	}
}

// TestLabelFields: what no version writes is refused by everyone who reads a message,
// the applier included, and a redaction that is not understood most of all.
func TestLabelFields(t *testing.T) {
	label := func(v string) []byte { return appendField(nil, tagLabel, v) }
	redact := func(v ...byte) []byte { return appendField(nil, tagRedact, v) }
	many := bytes.Repeat(label("a"), LabelsMax)
	names := append([]byte{0}, bytes.Repeat([]byte{1, 'n'}, RedactNamesMax)...)
	for what, c := range map[string]struct {
		fields []byte
		want   error
	}{
		"ten labels":            {many, nil},
		"eleven labels":         {append(bytes.Clone(many), label("b")...), ErrTruncated},
		"the longest label":     {label(strings.Repeat("l", LabelMax)), nil},
		"too long a label":      {label(strings.Repeat("l", LabelMax+1)), ErrTruncated},
		"an empty label":        {label(""), ErrTruncated},
		"body":                  {redact(1), nil},
		"headers":               {redact(2), nil},
		"a name":                {redact(0, 1, 'n'), nil},
		"as many names as may":  {redact(names...), nil},
		"one more":              {redact(append(names, 1, 'n')...), ErrTruncated},
		"nothing":               {redact(0), ErrTruncated},
		"no flags":              {redact(), ErrTruncated},
		"a later version's":     {redact(4), ErrUnknown},
		"an empty name":         {redact(0, 0), ErrTruncated},
		"a name that is cut":    {redact(0, 2, 'n'), ErrTruncated},
		"a length without end":  {redact(0, 0xFF), ErrTruncated},
		"two redactions":        {append(redact(1), redact(2)...), ErrTruncated},
		"one label, two values": {append(label("a"), label("a")...), nil},
	} {
		m := Message{}
		p := append(m.Append(nil)[:messageHead], c.fields...)
		le.PutUint32(p[60:], uint32(len(c.fields)))
		if err := DecodeMessage(p, &m); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: decode: %v, want %v", what, err, c.want)
		}
		h, err := HeadOfMessage(p)
		if err == nil {
			_, _, err = h.Special()
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%s: special: %v, want %v", what, err, c.want)
			}
		}
	}
}

// TestRedactHeader: names are compared in any case.
func TestRedactHeader(t *testing.T) {
	for _, c := range []struct {
		r    Redact
		name string
		want bool
	}{
		{Redact{}, "A", false},
		{Redact{Body: true}, "A", false},
		{Redact{Headers: true}, "A", true},
		{Redact{Names: []string{"Authorization"}}, "authorization", true},
		{Redact{Names: []string{"Authorization"}}, "Authorization2", false},
	} {
		if got := c.r.Header(c.name); got != c.want {
			t.Errorf("%+v of %s: %v", c.r, c.name, got)
		}
	}
}

// TestLabelsInHistory: labels are kept whole where a longer field beside them is cut.
func TestLabelsInHistory(t *testing.T) {
	m := sample()
	for range LabelsMax {
		m.Labels = append(m.Labels, strings.Repeat("l", LabelMax))
	}
	m.URL = "http://a/" + strings.Repeat("p", 5000)
	h, err := HeadOfMessage(m.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	p, cut, err := h.HistoryFields(nil, nil, 1024)
	if err != nil || !cut || len(p) >= 1<<14 {
		t.Fatalf("%d bytes, cut %v: %v", len(p), cut, err)
	}
	f, err := DecodeHistoryFields(p)
	if err != nil || !reflect.DeepEqual(f.Labels, m.Labels) || f.URL != m.URL[:1024] {
		t.Fatalf("%+v, %v", f, err)
	}
}
