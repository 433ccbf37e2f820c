package sink

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// parse reads a command line as the command does.
func parse(environ []string, args ...string) (*options, error) {
	o := defaults()
	var body, keys string
	fs := pflag.NewFlagSet("sink", pflag.ContinueOnError)
	bind(fs, o, &body, &keys)
	if err := fs.Parse(args); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	return o, o.finish(fs.Changed, body, keys, environ)
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		args string
		want func(*options) bool
	}{
		{"", func(o *options) bool { return o.plan == plan{seed: 1, slowShare: 1} && o.status == 500 && !o.verify }},
		{"--fail 10%", func(o *options) bool { return o.plan.fail == 0.1 }},
		{"--fail 0.25 --status 429", func(o *options) bool { return o.plan.fail == 0.25 && o.status == 429 }},
		{"--status 404", func(o *options) bool { return o.plan.fail == 1 }},
		{"--status 404 --hang 50%", func(o *options) bool { return o.plan.fail == 0.5 }},
		{"--status 404 --fail-first 1", func(o *options) bool { return o.plan.fail == 0 && o.plan.failFirst == 1 }},
		{"--fail 50% --hang 25% --reset 25%", func(o *options) bool { return true }},
		{"--slow 200ms --slow-share 5%", func(o *options) bool { return o.plan.slow.Milliseconds() == 200 && o.plan.slowShare == 0.05 }},
		{"--header X-A:b", func(o *options) bool { return o.headers[0] == [2]string{"X-A", "b"} }},
	} {
		if o, err := parse(nil, strings.Fields(c.args)...); err != nil || !c.want(o) {
			t.Errorf("%s: %+v, %v", c.args, o, err)
		}
	}
	for args, want := range map[string]string{
		"--fail 101%":              "want a share",
		"--fail -1%":               "want a share",
		"--fail NaN":               "want a share",
		"--hang x":                 "want a share",
		"--fail 60% --reset 41%":   "more than all requests",
		"--status 99":              "want a status",
		"--status 600":             "want a status",
		"--status x":               "want a status",
		"--print all":              "want one of line, body",
		"-o yaml":                  "want one of text, json",
		"--header nocolon":         "want a header",
		"--connections 0":          "above zero",
		"--window 0":               "above zero",
		"--window 1000000000":      "more than memory",
		"--fail-first -1":          "above zero",
		"--slow -1s":               "invalid argument",
		"--verify":                 "no signing key in the environment",
		"--refuse":                 "no signing key in the environment",
		"--keys /does/not/exist":   "no such file",
		"--keys " + os.DevNull:     "no signing key in " + os.DevNull,
		"--verify --signing-key x": "unknown flag",
	} {
		_, err := parse(nil, strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		} else if status := exit.Of(err); status != exit.Usage && status != exit.Config {
			t.Errorf("%s: status %d", args, status)
		}
	}
}

func TestKeys(t *testing.T) {
	environ := []string{"PATH=/bin", currentKey + "=sig_a", nextKey + "=sig_b"}
	if o, err := parse(environ, "--verify"); err != nil || !slices.Equal(o.keys, []string{"sig_a", "sig_b"}) {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse(environ); err != nil || o.keys != nil {
		t.Errorf("keys are read unasked: %v, %v", o.keys, err)
	}
	file := filepath.Join(t.TempDir(), "credentials.toml")
	text := "# keep it secret\nQSTASH_TOKEN=\"t\"\n" + currentKey + " = \"sig_c\"\nexport " + nextKey + "='sig_d'\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err := parse(environ, "--keys", file); err != nil || !o.verify || !slices.Equal(o.keys, []string{"sig_c", "sig_d"}) {
		t.Errorf("%+v, %v: the file's keys hold, not the environment's", o, err)
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("sig_canary"), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(environ, "--keys", file); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v: want an error that does not show what the file holds", err)
	}
}
