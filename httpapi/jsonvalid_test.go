package httpapi

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// sameAsStandard compares checkJSON with encoding/json, and what it says of a text that
// it refuses with the text's depth.
func sameAsStandard(t *testing.T, in []byte) {
	t.Helper()
	before := string(in)
	fail, deep := checkJSON(in), jsonDepth(in) > jsonDepthMax
	switch {
	case string(in) != before:
		t.Fatalf("%q was changed into %q", before, in)
	case (fail == nil) != (json.Valid(in) && !deep):
		t.Fatalf("%q: %v, for encoding/json it is valid: %t, nested too deep: %t", in, fail, json.Valid(in), deep)
	case fail != nil && (fail == errJSON) == deep:
		t.Fatalf("%q: %v, nested too deep: %t", in, fail, deep)
	}
}

// jsonTexts are texts with one of everything, valid and not.
var jsonTexts = []string{
	``, ` `, `null`, ` true `, `false`, `nul`, `nulll`, `-0.5e+10`, `01`, `-`, `1.`, `.5`, `1e`, `1e+`, `+1`, `0x1`, `1 2`, `"`, `""`, `"a`, `"\"`, `"\\"`, `"\u00e9\b\f\n\r\t\/"`, `"\u12"`, `"\u12g4"`, `"\x"`,
	`[]`, `[ ]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `]`, `[]]`, `{}`, `{ }`, `{"a":1,"a":[{}]}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a" : 1 , "b" : null }`, `{"a":1 "b":2}`, `{,}`, `{1:2}`, `{"a"::1}`,
	"\"\x01\"", "[\"a\\\\b\"]", "[\"\\\\a\x01\"]", "{\"a\nb\":1}", "\"12345678\x1f\"", "\"\\\x01\"", "\"\x7f\xff\xc3\"", "[\t1\n,\r2 ]", "[1]\x00", "\x00", "\ufeff[]",
	strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat(`{"":`, 64) + "1" + strings.Repeat("}", 64), strings.Repeat("]", 3) + strings.Repeat("[", 68),
	`[{"destination":"http://h/","headers":{"Upstash-Delay":["1h"]},"body":"{\"a\":[\"\\u00e9\\\\\"]}","queue":null}]`,
}

// FuzzValidJSON: what checkJSON takes is what encoding/json takes, nested as deep as is
// allowed.
func FuzzValidJSON(f *testing.F) {
	for _, s := range jsonTexts {
		f.Add([]byte(s))
	}
	f.Fuzz(sameAsStandard)
}

// TestValidJSON does so for texts made of the pieces that mean something, which are valid
// now and then, and for valid ones with a byte changed.
func TestValidJSON(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	pieces := strings.Split(`[ ] { } , : " \ " \" \\ \u00e9 \u a 0 1 -2 .5 e E+ true null {"a": "b" [] [1, }, ],`+" \x1f", " ")
	pieces = append(pieces, " ", "\n", "\x00", "\xff", "longer than a word", `"longer than a word"`)
	valid := 0
	for range 100_000 {
		var in []byte
		for range 1 + r.IntN(8) {
			in = append(in, pieces[r.IntN(len(pieces))]...)
		}
		sameAsStandard(t, in)
		if json.Valid(in) {
			valid++
		}
	}
	if valid < 1000 {
		t.Errorf("%d texts were valid", valid)
	}
	for range 20_000 {
		in := []byte(jsonTexts[r.IntN(len(jsonTexts))])
		if len(in) > 0 {
			in[r.IntN(len(in))] = byte(r.Uint32())
		}
		sameAsStandard(t, in)
	}
}

// TestPlainLen puts every byte at every place of a word and behind it.
func TestPlainLen(t *testing.T) {
	for c := range 256 {
		plain := c >= ' ' && c != '"' && c != '\\'
		for at := range 20 {
			b := []byte(strings.Repeat("!#[\x7f\x80\xff ", 4)[:24])
			b[at] = byte(c)
			want := at
			if plain {
				want = len(b)
			}
			if got := plainLen(b); got != want {
				t.Fatalf("%#x at %d: %d, want %d", c, at, got, want)
			}
		}
	}
}

// TestStringEnd compares it with a walk over every byte.
func TestStringEnd(t *testing.T) {
	walk := func(b []byte) int {
		for i := 1; i < len(b); i++ {
			switch b[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(b)
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	for range 50_000 {
		b := []byte{'"'}
		for range r.IntN(12) {
			b = append(b, `"\\a`[r.IntN(4)])
		}
		if got, want := stringEnd(b), walk(b); got != want {
			t.Fatalf("seed %d: %q ends at %d, want %d", seed, b, got, want)
		}
	}
}
