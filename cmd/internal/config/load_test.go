package config

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// samples are three values that a setting may have, each with what TOML has for it, and
// none of them the default of serve or dev.
func samples(t *testing.T, s *Setting) (text, toml [3]string) {
	t.Helper()
	texts := func(a, b, c string) ([3]string, [3]string) {
		return [3]string{a, b, c}, [3]string{literal(a), literal(b), literal(c)}
	}
	switch s.Name { // what only certain values may follow
	case "listen", "admin.listen":
		return texts("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
	case "log.segment-size":
		return texts("65MiB", "66MiB", "67MiB")
	case "retention.bodies":
		return texts("1d", "2d", "3d")
	case "message.max-size", "response.max-size":
		return texts("2MiB", "3MiB", "4MiB")
	case "logging.level":
		return texts("debug", "warn", "error")
	case "logging.format":
		return texts("json", "text", "json")
	case "destinations.allow-metadata", "ui":
		return [3]string{"true", "false", "true"}, [3]string{"true", "false", "true"}
	}
	switch s.Value.(type) {
	case *TextValue:
		return texts("/a", "/b", "/c")
	case *Secret:
		return texts("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc")
	case *ListValue:
		text := [3]string{"https://a.test,https://b.test", "https://c.test", "https://d.test"}
		if table(s.Name) == "destinations" {
			text = [3]string{"a.test,b.test", "c.test", "d.test"}
		}
		for i := range text {
			toml[i] = literal(strings.Split(text[i], ","))
		}
		return text, toml
	case *CountValue:
		text := [3]string{"11", "12", "13"}
		return text, text
	case *DurationValue, *KeepValue:
		if s.Name == "attempt.timeout" {
			return texts("31m", "32m", "33m")
		}
		return texts("31d", "32d", "33d")
	case *SizeValue, *RateValue, *MinFreeValue:
		return texts("300MiB", "301MiB", "302MiB")
	case *FsyncValue:
		return texts("interval=1ms", "interval=2ms", "interval=3ms")
	}
	t.Fatalf("%s: what are its values?", s.Name)
	return text, toml
}

// TestPrecedenceOfEach: of every setting a flag wins over a variable, that over the file,
// and that over the default; a list is replaced and not added to; and where the value is
// from is known.
func TestPrecedenceOfEach(t *testing.T) {
	for _, dev := range []bool{false, true} {
		for _, s := range new(Config).Settings() {
			if s.secret != "" {
				continue // TestSecretSources
			}
			text, toml := samples(t, &s)
			path := written(t, fmt.Sprintf("# a comment\n%q = %s\n", s.Name, toml[0]))
			for given := range 1 << 3 {
				var args, environ []string
				want, from := find((&Sources{Dev: dev}).defaults().Settings(), s.Name).Value.String(), "default"
				if given&1 != 0 {
					args = append(args, "--config", path)
					want, from = text[0], path+":2"
				}
				if given&2 != 0 {
					environ = append(environ, s.EnvName()+"="+text[1])
					want, from = text[1], s.EnvName()
				}
				if given&4 != 0 {
					if s.Secret() {
						continue
					}
					args = append(args, "--"+s.Name+"="+text[2])
					want, from = text[2], "--"+s.Name
				}
				c, err := parseAs(dev, args, environ)
				if err != nil {
					t.Fatalf("%s: %q %q: %v", s.Name, args, environ, err)
				}
				got := find(c.Settings(), s.Name).Value
				value := got.String()
				if secret, ok := got.(*Secret); ok {
					value = string(*secret)
				}
				if value != want || c.Origin(s.Name).String() != from {
					t.Errorf("dev %v, %s: %q %q: %q from %s, want %q from %s", dev, s.Name, args, environ, value, c.Origin(s.Name), want, from)
				}
			}
		}
	}
}

// TestSecretSources: a secret or the name of its file, whichever comes from the higher
// source, and systemd's directory only if there is neither.
func TestSecretSources(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := file("one", "secret-of-file-one\n"), file("two", "secret-of-file-two\r\n")
	credential := file("auth.token", "secret-of-systemd")
	toml := func(key, value string) string { return written(t, fmt.Sprintf("[auth]\n%s = %q\n", key, value)) }
	for _, c := range []struct {
		name, file string
		environ    []string
		args       []string
		want, from string
	}{
		{name: "nothing", from: "default"},
		{name: "systemd", environ: []string{"CREDENTIALS_DIRECTORY=" + dir}, want: "secret-of-systemd", from: credential},
		{name: "not in the directory", environ: []string{"CREDENTIALS_DIRECTORY=" + t.TempDir()}, from: "default"},
		{name: "file before systemd", file: toml("token", "secret-of-the-toml"), environ: []string{"CREDENTIALS_DIRECTORY=" + dir}, want: "secret-of-the-toml", from: "FILE:2"},
		{name: "empty is nothing", file: toml("token", ""), environ: []string{"CREDENTIALS_DIRECTORY=" + dir}, want: "secret-of-systemd", from: credential},
		{name: "name in the file", file: toml("token-file", one), want: "secret-of-file-one", from: one + " (FILE:2)"},
		{name: "variable before the name in the file", file: toml("token-file", one), environ: []string{"TIDEMILL_AUTH_TOKEN=secret-of-the-env"}, want: "secret-of-the-env", from: "TIDEMILL_AUTH_TOKEN"},
		{name: "the missing file does not count", file: toml("token-file", "/none"), environ: []string{"TIDEMILL_AUTH_TOKEN=secret-of-the-env"}, want: "secret-of-the-env", from: "TIDEMILL_AUTH_TOKEN"},
		{name: "name in a variable before the file", file: toml("token", "secret-of-the-toml"), environ: []string{"TIDEMILL_AUTH_TOKEN_FILE=" + two}, want: "secret-of-file-two", from: two + " (TIDEMILL_AUTH_TOKEN_FILE)"},
		{name: "flag before all", file: toml("token", "secret-of-the-toml"), environ: []string{"TIDEMILL_AUTH_TOKEN=secret-of-the-env"}, args: []string{"--auth.token-file", one}, want: "secret-of-file-one", from: one + " (--auth.token-file)"},
	} {
		c.from = strings.Replace(c.from, "FILE:", c.file+":", 1)
		if c.file != "" {
			c.args = append(c.args, "--config", c.file)
		}
		got, err := parse(c.args, c.environ)
		if err != nil || string(got.AuthToken) != c.want || got.Origin("auth.token").String() != c.from {
			t.Errorf("%s: %q from %s, want %q from %s; %v", c.name, string(got.AuthToken), got.Origin("auth.token"), c.want, c.from, err)
		}
	}
}

// TestSecretIsNotShown by whatever prints a configuration.
func TestSecretIsNotShown(t *testing.T) {
	c, err := parse(nil, []string{
		"TIDEMILL_AUTH_TOKEN=c4n4ry-token-value", "TIDEMILL_AUTH_SIGNING_KEY=c4n4ry-signing-key", "TIDEMILL_AUTH_NEXT_SIGNING_KEY=c4n4ry-next-signing-key",
		"TIDEMILL_ALERTS_WEBHOOK=https://c4n4ry.example/", "TIDEMILL_ALERTS_WEBHOOK_SECRET=c4n4ry-alerts-secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, format := range Formats {
		if err := c.Show(&b, format, true); err != nil {
			t.Fatal(err)
		}
	}
	shown := strings.Count(b.String(), stars)
	fmt.Fprintf(&b, "%v %+v %#v %s %q", c, *c, *c, c.AuthToken, c.AuthKey)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "config", c, "secret", c.AlertsWebhook)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "config", c, "secret", c.AlertsWebhook)
	if text := b.String(); shown != 3*5 || strings.Contains(text, "c4n4ry") {
		t.Errorf("%d stars, or a secret, in\n%s", shown, text)
	}
}

// TestOpenFile: a file with a secret that others can read is told of, and no other is.
func TestOpenFile(t *testing.T) {
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{"[auth]\ntoken = \"0123456789abcdef\"\n", 0o640, " holds a secret and can be read by others: chmod 600 it"},
		{"[auth]\ntoken = \"0123456789abcdef\"\n", 0o600, ""},
		{"[log]\nfsync = \"always\"\n", 0o644, ""},
	} {
		path := written(t, c.text)
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := parse([]string{"--config", path}, nil)
		if w := strings.Join(got.Warnings, "\n"); err != nil || (c.want == "") != (w == "") || !strings.Contains(w, c.want) || strings.Contains(w, "0123") {
			t.Errorf("%o %s: %q, %v", c.mode, c.text, w, err)
		}
	}
	path := written(t, "0123456789abcdef")
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	got, err := parse([]string{"--auth.signing-key-file", path}, nil)
	if err != nil || !slices.Equal(got.Warnings, []string{path + " holds auth.signing-key and can be read by others: chmod 600 it"}) {
		t.Errorf("%q, %v", got.Warnings, err)
	}
	got, err = parse([]string{"--auth.signing-key-file", path, "--log.fsync=x"}, nil)
	if exit.Of(err) != exit.Usage || got == nil {
		t.Errorf("only a flag is wrong: %v", err)
	}
	if got, err := parseAs(true, nil, []string{"TIDEMILL_AUTH_TOKEN=0123456789abcdef"}); err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "auth.* is not used by dev") {
		t.Errorf("%q, %v", got.Warnings, err)
	}
}

// TestLoadAgain: a reload reads the files again, and keeps flags and environment.
func TestLoadAgain(t *testing.T) {
	token := written(t, "0123456789abcdef")
	path := written(t, fmt.Sprintf("[message]\nmax-retries = 5\nmax-delay = \"7d\"\n[auth]\ntoken-file = %q\n", token))
	cmd := newTestCommand()
	s := Bind(cmd, false, []string{"TIDEMILL_CONFIG=" + path, "TIDEMILL_MESSAGE_MAX_SIZE=2MiB"})
	if err := cmd.ParseFlags([]string{"--message.max-delay", "8d", "--destinations.deny=a.test", "--destinations.deny=b.test"}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if same, err := s.Load(); err != nil || len(Changes(before, same)) != 0 || len(same.Deny) != 2 {
		t.Errorf("nothing changed, but %q; %q, %v", Changes(before, same), same.Deny, err)
	}
	if err := os.WriteFile(token, []byte("fedcba9876543210"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(fmt.Sprintf("[message]\nmax-retries = 6\nmax-delay = \"9d\"\nmax-size = \"3MiB\"\n[log]\nfsync = \"interval=1s\"\n[auth]\ntoken-file = %q\n", token)), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := Changes(before, after); !slices.Equal(got, []string{"log.fsync", "message.max-retries", "auth.token"}) {
		t.Errorf("changed are %q", got)
	}
	if Reloadable("log.fsync") || !Reloadable("message.max-retries") || !Reloadable("auth.token") || Reloadable("nothing") {
		t.Error("what takes effect on a reload is wrong")
	}
	if err := os.WriteFile(path, []byte(fmt.Sprintf("[message]\nmax-retries = 6\n[log]\nfsync = \"interval=1s\"\n[auth]\ntoken-file = %q\n", written(t, "fedcba9876543210\n"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if moved, err := s.Load(); err != nil || len(Changes(after, moved)) != 0 {
		t.Errorf("the secret is in another file: changed are %q, %v", Changes(after, moved), err)
	}
	if before.MaxRetries != 5 || after.MaxDelay != 8*Day {
		t.Errorf("%d, %s", before.MaxRetries, after.MaxDelay)
	}
}

// TestAllSources: what is wrong in any of them is told at once, also if it does not count.
func TestAllSources(t *testing.T) {
	path := written(t, "[log]\nfsync = \"x\"\n")
	_, err := parse([]string{"--config", path, "--log.fsync", "y", "--batch.max-size", "1KiB", "--auth.token-file=/none"},
		[]string{"TIDEMILL_LOG_FSYNC=z", "TIDEMILL_NOTHING=1"})
	want := []string{
		path + `:2:1: log.fsync: invalid value "x": want always`,
		`TIDEMILL_LOG_FSYNC: invalid value "z": want always`,
		`TIDEMILL_NOTHING: this variable names no setting`,
		`--log.fsync: invalid value "y": want always`,
		"--auth.token-file: auth.token: the file /none: no such file or directory",
		"batch.max-size (1KiB) is below message.max-size (1MiB): raise it, or no batch can carry such a message (batch.max-size is from --batch.max-size)",
	}
	lines := strings.Split(fmt.Sprint(err), "\n")
	for i := range want {
		if len(lines) != len(want) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
		}
	}
	if exit.Of(err) != exit.Config {
		t.Errorf("status %d", exit.Of(err))
	}
}

func TestPort(t *testing.T) {
	for _, c := range []struct {
		dev  bool
		args []string
		env  string
		want string
	}{
		{dev: true, want: "127.0.0.1:8080"},
		{dev: true, args: []string{"--port", "0"}, want: "127.0.0.1:0"},
		{dev: true, args: []string{"--port", "81"}, env: "TIDEMILL_LISTEN=[::1]:80", want: "[::1]:81"},
	} {
		got, err := parseAs(c.dev, c.args, []string{c.env})
		if err != nil || got.Listen != c.want {
			t.Errorf("%+v: %q, %v", c, got.Listen, err)
		}
	}
	if _, err := parse([]string{"--port", "81"}, nil); err == nil || !strings.Contains(err.Error(), "--port: it is a flag of dev") {
		t.Errorf("%v", err)
	}
}

// TestLookup: what a client needs to know of a server.
func TestLookup(t *testing.T) {
	path := written(t, "data = \"/file\"\n[auth]\ntoken-file = \"/none\"\n")
	for _, c := range []struct {
		environ []string
		file    string
		want    string
	}{
		{want: ""},
		{file: path, want: "/file"},
		{environ: []string{"TIDEMILL_CONFIG=" + path, "TIDEMILL_UNKNOWN=x"}, want: "/file"},
		{environ: []string{"TIDEMILL_DATA=/env"}, file: "/none", want: "/env"},
	} {
		if got, err := Lookup(c.environ, c.file, "data"); got != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if got, err := Lookup(nil, path, "admin.listen"); got != "" || err != nil {
		t.Errorf("a default is for the command to know: %q, %v", got, err)
	}
	if _, err := Lookup(nil, written(t, "dta = 1"), "data"); exit.Of(err) != exit.Config || !strings.Contains(err.Error(), "did you mean data?") {
		t.Errorf("%v", err)
	}
}
