package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// FuzzAppendString: what is written is valid JSON and reads as encoding/json's
// own encoding of the same bytes does.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c", "\x00\x1f\x7f\t\r\n", "é😀\u2028", "\xff\xc3", "\xed\xa0\x80", strings.Repeat("x", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, want string
		out := appendString([]byte(nil), s)
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q: %s: %v", s, out, err)
		}
		if err := json.Unmarshal(std, &want); err != nil || got != want {
			t.Fatalf("%q: read back %q, want %q", s, got, want)
		}
		if b := appendString([]byte(nil), []byte(s)); string(b) != string(out) {
			t.Fatalf("%q: bytes give %s, the string %s", s, b, out)
		}
	})
}

func TestHeaderMap(t *testing.T) {
	o := obj{}
	o.header("header", []engine.Header{{Name: "B", Value: "1"}, {Name: `A"`, Value: "2"}, {Name: "B", Value: "\xff"}})
	o.header("none", nil)
	if got, want := string(o.end()), `{"header":{"B":["1","\ufffd"],"A\"":["2"]}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	empty := obj{}
	if got := string(empty.end()); got != "{}" {
		t.Errorf("empty object: %s", got)
	}
}
