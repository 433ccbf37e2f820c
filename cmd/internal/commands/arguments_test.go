package commands

import (
	"testing"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

func TestAddedEndpoint(t *testing.T) {
	for arg, want := range map[string]endpoint{
		"https://a.example/?x=http://b.example": {URL: "https://a.example/?x=http://b.example"},
		"HTTP://a.example":                      {URL: "HTTP://a.example"},
		"billing=https://a.example/?x=1":        {URL: "https://a.example/?x=1", Name: "billing"},
		"First one=http://a.example":            {URL: "http://a.example", Name: "First one"},
		"=http://a.example":                     {},
		"billing=a.example":                     {},
		"a.example":                             {},
		"":                                      {},
	} {
		if got, err := addedEndpoint(arg); got != want || (err == nil) != (want != endpoint{}) {
			t.Errorf("%q: %+v, %v; want %+v", arg, got, err, want)
		}
	}
}

// The message is in the request as it was given, bytes that an encoder would escape or leave out
// among them.
func TestWithMessage(t *testing.T) {
	for _, message := range []string{`{"a": "<&>"}`, "[1,\n 2.0]", `"é\u00e9"`, "null"} {
		want := `{"message":` + message + `,"queue":"q"}`
		if got := string(withMessage(map[string]any{"queue": "q"}, []byte(message))); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestInSeconds(t *testing.T) {
	for raw, want := range map[string]string{`90`: "1m30s", `0`: "", `172800`: "2d", `12.75`: "12s", `0.4`: "", `null`: ""} {
		if got := inSeconds("x")(client.Object{"x": []byte(raw)}); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
