package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// written is a file with this text, in a directory of the test's.
func written(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "t.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFileErrors: what is wrong is named with its line and column, and so is what would
// be right.
func TestFileErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // a line each, without the path; all there are
	}{
		{"key", "[log]\n  fsynk = \"always\"\n", []string{`:2:3: there is no setting log.fsynk: did you mean log.fsync?`}},
		{"alias", "fsync = \"always\"\n", []string{`:1:1: there is no setting fsync: did you mean log.fsync?`}},
		{"strange key", "\"a\\nb\" = 1\n", []string{`:1:1: there is no setting "a\nb": ` + "`tidemill config example` lists them all"}},
		{"no name", "\"\" = 1\n", []string{`:1:1: there is no setting "": ` + "`tidemill config example` lists them all"}},
		{"table, its keys once", "\n[retentoin]\nhistory = \"1d\"\ndlq = \"2d\"\n", []string{`:2:2: there is no table [retentoin]: did you mean [retention]?`}},
		{"far table", "[nothing-like-it]\n", []string{":1:2: there is no table [nothing-like-it]: there are admin, data, log, "}},
		{"deep table", "[log.segment]\nsize = 1\n", []string{":1:2: there is no table [log.segment]: there are "}},
		{"setting as table", "[listen]\nport = 1\n", []string{":1:2: listen is a setting, not a table: write listen = ..."}},
		{"array of tables", "[[log]]\nfsync = \"always\"\n", []string{":1:3: [[log]] is an array of tables, and no setting is one: want [log]"}},
		{"inline table", "log = {fsync = \"always\", segment-sise = 1}\n", []string{":1:26: there is no setting log.segment-sise: did you mean log.segment-size?"}},
		{"table for a value", "listen = {port = 1}\n", []string{":1:1: listen: a table is wrong here: want a text in quotes"}},
		{"size", "[log]\nsegment-size = \"64MB\"\n", []string{`:2:1: log.segment-size: invalid value "64MB": want a size such as 512KiB`}},
		{"size kind", "[log]\nsegment-size = 1.5\n", []string{`:2:1: log.segment-size: a number with a fraction is wrong here: want a size in quotes such as "64MiB", or a number of bytes`}},
		{"large size", "[log]\nsegment-size = 99999999999999999999\n", []string{":2:1: log.segment-size: invalid value 99999999999999999999: it is too large"}},
		{"negative size", "[log]\nsegment-size = -1\n", []string{`:2:1: log.segment-size: invalid value "-1": want a size such as`}},
		{"duration", "[retention]\ndlq = \"1 week\"\n", []string{`:2:1: retention.dlq: invalid value "1 week": `}},
		{"duration without unit", "[retention]\ndlq = 30\n", []string{`:2:1: retention.dlq: a whole number is wrong here: want a duration in quotes, with its unit, such as "90s" or "7d"`}},
		{"count", "[delivery]\nresident = \"5\"\n", []string{":2:1: delivery.resident: a text is wrong here: want a whole number, without quotes"}},
		{"flag", "[destinations]\nallow-metadata = \"true\"\n", []string{":2:1: destinations.allow-metadata: a text is wrong here: want true or false, without quotes"}},
		{"text", "listen = 8080\n", []string{":1:1: listen: a whole number is wrong here: want a text in quotes"}},
		{"date", "listen = 2026-01-02\n", []string{":1:1: listen: a date or time is wrong here: want a text in quotes"}},
		{"word", "[logging]\nlevel = \"loud\"\n", []string{`:2:1: logging.level: invalid value "loud": want debug, info, warn or error`}},
		{"fsync", "[log]\nfsync = \"never\"\n", []string{`:2:1: log.fsync: invalid value "never": want always, or interval=DURATION`}},
		{"list", "[cors]\norigins = \"https://a.test\"\n", []string{`:2:1: cors.origins: a text is wrong here: want an array of texts such as ["a", "b"]`}},
		{"item", "[cors]\norigins = [\n  \"https://a.test\",\n  5]\n", []string{":2:1: cors.origins: a whole number is wrong in this array: want texts in quotes"}},
		{"two in one", "[cors]\norigins = [\"a,b\"]\n", []string{`:2:1: cors.origins: invalid item "a,b": want one name in each pair of quotes`}},
		{"twice", "[log]\nfsync = \"always\"\n\nfsync = \"interval=1s\"\n", []string{":4:1: log.fsync has a value already, in line 2: keep one of them"}},
		{"twice, by another spelling", "\"log.fsync\" = \"always\"\n[log]\nfsync = \"always\"\n", []string{":3:1: log.fsync has a value already, in line 1: keep one of them"}},
		{"table twice", "[log]\nfsync = \"always\"\n[index]\n[log]\nsegment-size = 67108864\n", []string{":4:2: this is not TOML: table log already exists"}},
		{"data twice", "data = \"/d\"\n[data]\nmin-free = 0\n", []string{`:2:2: data has its value in line 1, so it cannot be a table: write the whole name in quotes above the first table, such as "data.min-free" = "1GiB"`}},
		{"data dotted", "data = \"/d\"\ndata.min-free = 0\n", []string{":2:1: data has its value in line 1, so it cannot be a table: "}},
		{"no quotes", "[log]\nfsync = always\n", []string{":2:9: this is not TOML: unexpected start of a value: a text needs quotes (what follows was not read)"}},
		{"no value", "listen =", []string{":1:8: this is not TOML: expected value, not end of input"}},
		{"no equals sign", "listen \"x\"\n", []string{":1:8: this is not TOML: expected '=' after key"}},
		{"two on a line", "listen = \"x\" data = \"y\"\n", []string{":1:14: this is not TOML: expected newline here, not what is here"}},
		{"all of them", "lisen = \":80\"\n[log]\nfsync = 5\n[message]\nmax-size = \"1MB\"\n", []string{
			":1:1: there is no setting lisen: did you mean listen?",
			":3:1: log.fsync: a whole number is wrong here",
			`:5:1: message.max-size: invalid value "1MB"`,
		}},
		{"up to where it ends", "lisen = 1\n[log\n", []string{":1:1: there is no setting lisen", ":2:5: this is not TOML: expected ']' to close table name"}},
		{"values that do not fit", "[message]\nmax-size = \"2MiB\"\n[batch]\nmax-size = \"1MiB\"\n[log]\nsegment-size=\"1MiB\"\n", []string{
			"batch.max-size (1MiB) is below message.max-size (2MiB): raise it, or no batch can carry such a message (batch.max-size is from ",
			"log.segment-size of 1048576 bytes cannot hold a message of 2097152",
		}},
		{"rules", "[destinations]\nallow = [\"10.0.0.0/99\"]\n", []string{"destinations.allow"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := written(t, c.text)
			_, err := parse([]string{"--config", path}, nil)
			if err == nil || exit.Of(err) != exit.Config {
				t.Fatalf("error %v has status %d, want %d", err, exit.Of(err), exit.Config)
			}
			lines := strings.Split(err.Error(), "\n")
			for i, want := range c.want {
				if strings.HasPrefix(want, ":") {
					want = path + want
				}
				if i >= len(lines) || !strings.Contains(lines[i], want) {
					t.Errorf("line %d of\n%v\nis not\n%s", i+1, err, want)
				}
			}
			if len(lines) != len(c.want) {
				t.Errorf("%d lines, want %d:\n%v", len(lines), len(c.want), err)
			}
		})
	}
}

func TestFileIsNotThere(t *testing.T) {
	_, err := parse([]string{"--config", "none.toml"}, nil)
	if err == nil || err.Error() != "the configuration file none.toml: no such file or directory" || exit.Of(err) != exit.Config {
		t.Errorf("%v", err)
	}
	if _, err = parse([]string{"--config="}, []string{"TIDEMILL_CONFIG=x"}); err == nil || !strings.Contains(err.Error(), "--config is empty") {
		t.Errorf("an empty name: %v", err)
	}
	if _, err = parse(nil, []string{"TIDEMILL_CONFIG=" + t.TempDir()}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err = parse([]string{"--config", written(t, strings.Repeat("#\n", fileMax/2+1))}, nil); err == nil || !strings.Contains(err.Error(), "it is longer than 1MiB") {
		t.Errorf("a long file: %v", err)
	}
}

// TestFileSpellings: a name may be written in each way that TOML has for it.
func TestFileSpellings(t *testing.T) {
	for _, text := range []string{
		"[log]\nsegment-size = \"32MiB\"\n[delivery]\nresident = 1_000\n",
		"log.segment-size = 33_554_432\ndelivery.resident = 0x3e8\n",
		"\"log.segment-size\" = '32MiB'\ndelivery = {resident = 1000}\n",
		"log = { segment-size = \"32MiB\" }\r\n'delivery' . \"resident\" = 1000 # so\r\n",
	} {
		c, err := parse([]string{"--config", written(t, text)}, nil)
		if err != nil || c.SegmentSize != 32*MiB || c.Resident != 1000 {
			t.Errorf("%q: %v, %d, %d", text, err, c.SegmentSize, c.Resident)
		}
	}
	c, err := parse([]string{"--config", written(t, "[data]\nmin-free = \"1GiB\"\n[retention]\nbodies = 0\ndlq = 0\n")}, []string{"TIDEMILL_DATA=/d"})
	if err != nil || c.Data != "/d" || c.MinFree != GiB || c.DeadAge != 0 {
		t.Errorf("%v: %q, %d, %s", err, c.Data, c.MinFree, c.DeadAge)
	}
}

var placed = regexp.MustCompile(`^f\.toml:[1-9][0-9]*:[1-9][0-9]*: [^\n]+$`)

// FuzzFile: no document makes the reader panic, and each problem has its place.
func FuzzFile(f *testing.F) {
	f.Add([]byte("data = \"d\"\n[log]\nfsync = \"always\"\n[cors]\norigins = [\"https://a.test\"]\n"))
	f.Add([]byte("[auth]\ntoken = s3cret\n[[log]]\nlog = {fsync = 1}"))
	f.Add([]byte("\"\\u0000\" = 1979-05-27T07:32:00Z\na.b.c = [1, [2], {x = inf}]"))
	f.Add([]byte("data = 'x'\ndata.min-free = 1\n[data]\n"))
	f.Add([]byte("x = \"\"\"\nmore\n\"\"\"\n'''"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		c := Default()
		c.origins = map[string]Origin{}
		l := &loader{config: c, settings: c.Settings()}
		l.applyTOML("f.toml", doc)
		for _, err := range l.problems {
			if !placed.MatchString(err.Error()) {
				t.Errorf("%q has no place, or more than a line", err)
			}
		}
		for name, o := range c.origins {
			if o.Source != FromFile || o.Line < 1 {
				t.Errorf("%s is from %+v", name, o)
			}
		}
	})
}

// TestNoSecretInErrors: whatever is done wrong with a secret, it is not repeated.
func TestNoSecretInErrors(t *testing.T) {
	const canary = "c4n4ryc4n4ryc4n4ry"
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, []byte(strings.Repeat(canary, secretMax)), 0o600); err != nil {
		t.Fatal(err)
	}
	two := filepath.Join(t.TempDir(), "two")
	if err := os.WriteFile(two, []byte(canary+"\n"+canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, env, arg, want string }{
		{file: "[auth]\ntoken = " + canary, want: "a text needs quotes"},
		{file: "[auth]\ntoken = \"" + canary + "\nlisten = 5", want: "this is not TOML"},
		{file: "[auth]\ntoken = \"\\" + canary + "\"", want: "this is not TOML"},
		{file: "[auth]\ntoken = \"" + canary + " x\"", want: "auth.token: want visible ASCII characters"},
		{file: "[auth]\ntoken = [\"" + canary + "\"]", want: "auth.token: an array is wrong here"},
		{file: "[auth]\ntokn = \"" + canary + "\"", want: "did you mean auth.token?"},
		{file: "[auth]\ntoken = \"" + canary + "\"\ntoken = \"" + canary + "\"", want: "has a value already"},
		{file: "[auth]\ntoken = \"" + canary[:7] + "\"", want: "auth.token is too short"},
		{file: "[auth]\nsigning-key = \"" + canary + "\"\nnext-signing-key = \"" + canary + "\"", want: "are the same"},
		{file: "[auth]\ntoken = \"" + canary + "\"\ntoken-file = \"x\"", want: "auth.token and auth.token-file are both given"},
		{file: "[auth]\ntoken = 99999999999999999999" + canary, want: "this is not TOML"},
		{env: "TIDEMILL_AUTH_TOKEN=" + canary + "\t", want: "TIDEMILL_AUTH_TOKEN: want visible ASCII"},
		{env: "TIDEMILL_AUTH_TOKN=" + canary, want: "did you mean TIDEMILL_AUTH_TOKEN?"},
		{arg: "--auth.token=" + canary, want: "a secret is no flag, since everybody on this machine can read flags: use --auth.token-file, the variable TIDEMILL_AUTH_TOKEN"},
		{arg: "--auth.token-file=" + long, want: "long: it is longer than"},
		{arg: "--auth.token-file=" + two, want: "two: want visible ASCII characters without spaces, on one line"},
		{arg: "--auth.token-file=" + t.TempDir(), want: "is a directory"},
		{arg: "--auth.token-file=/none", want: "--auth.token-file: auth.token: the file /none: no such file"},
	} {
		args := []string{"--config", written(t, c.file)}
		if c.arg != "" {
			args = append(args, c.arg)
		}
		_, err := parse(args, []string{c.env})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		if text := errors.Join(err).Error(); strings.Contains(text, canary[:3]) || strings.Contains(text, "'c'") {
			t.Errorf("the secret is in %s", text)
		}
	}
}
