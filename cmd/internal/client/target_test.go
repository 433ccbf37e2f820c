package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func TestTarget(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, environ, want string }{
		{"", "QSTASH_URL=http://h:1/ QSTASH_TOKEN=t", "http://h:1 t"},
		{"--url https://h/base//", "QSTASH_URL=http://no QSTASH_TOKEN=t", "https://h/base t"},
		{"--token-file " + file, "QSTASH_URL=http://h QSTASH_TOKEN=t", "http://h of-file"},
		{"", "QSTASH_DEV=true", "http://127.0.0.1:8080 " + DevToken},
		{"", "QSTASH_DEV=1 QSTASH_DEV_PORT=9", "http://127.0.0.1:9 " + DevToken},
		{"", "QSTASH_DEV=true QSTASH_URL=http://h", "http://h " + DevToken},
		{"", "QSTASH_DEV=true QSTASH_TOKEN=t", "http://127.0.0.1:8080 t"},

		{"", "", "which server?"},
		{"", "QSTASH_DEV=false QSTASH_TOKEN=t", "which server?"},
		{"", "QSTASH_URL=http://h", "which token?"},
		{"", "QSTASH_DEV=yes", `QSTASH_DEV is "yes"`},
		{"--url ://", "QSTASH_TOKEN=t", "--url is no address"},
		{"--url h:80", "QSTASH_TOKEN=t", "--url is no address"},
		{"--url http://", "QSTASH_TOKEN=t", "--url is no address"},
		{"--url http://h?q=1", "QSTASH_TOKEN=t", "--url has a query"},
		{"", "QSTASH_URL=http://u:hidden@h QSTASH_TOKEN=t", "QSTASH_URL has a user or a password"},
		{"--token-file " + file + "x", "QSTASH_URL=http://h", "--token-file: open"},
		{"--token-file " + os.DevNull, "QSTASH_URL=http://h", "is empty"},
		{"", "QSTASH_URL=http://h QSTASH_TOKEN=hid\tden", "QSTASH_TOKEN holds more than a token"},
	} {
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		at := BindTarget(f, strings.Split(c.environ, " "))
		if err := f.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		s, err := at.Open()
		got := ""
		switch {
		case err == nil:
			got = s.base + " " + s.token
		case exit.Of(err) != exit.Config:
			t.Errorf("%s %s: status %d", c.args, c.environ, exit.Of(err))
		default:
			got = err.Error()
		}
		if ok := got == c.want || err != nil && strings.Contains(got, c.want); !ok || strings.Contains(got, "hid") {
			t.Errorf("%s %s: %s, want %s", c.args, c.environ, got, c.want)
		}
	}
}
