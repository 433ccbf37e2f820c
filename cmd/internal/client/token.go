package client

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// DevToken is the first of the published test users of `tidemill dev` (QSTASH.md §1.5): no secret.
const DevToken = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0="

// Token is where a command finds its token. It is no flag, since everybody on a machine can read the
// command lines of its processes (P45).
type Token struct {
	file    string
	environ []string
}

// BindToken defines the flag --token-file.
func BindToken(f *pflag.FlagSet, environ []string) *Token {
	t := &Token{environ: environ}
	f.StringVar(&t.file, "token-file", "", "file that holds the token, instead of $QSTASH_TOKEN")
	return t
}

// Get reads the token. Its errors have the status exit.Config, say what to set, and do not show what
// was read.
func (t *Token) Get() (string, error) { return t.get("") }

// get is Get with a token to take where none is named, "" for none.
func (t *Token) get(otherwise string) (token string, err error) {
	token = config.Env(t.environ, "QSTASH_TOKEN")
	switch {
	case t.file != "":
		token, err = readToken(t.file)
	case token != "":
		err = checkToken("QSTASH_TOKEN", token)
	case otherwise != "":
		token = otherwise
	default:
		err = errors.New("which token? Set QSTASH_TOKEN, or name a file that holds it with --token-file " +
			"(the first one is in credentials.toml of the data directory; `tidemill token create` makes others)")
	}
	if err != nil {
		return "", exit.With(exit.Config, err)
	}
	return token, nil
}

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	return token, checkToken("the file "+path, token)
}

// checkToken refuses what cannot stand in a header, without showing it.
func checkToken(where, token string) error {
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f {
			return fmt.Errorf("%s holds more than a token: want the token alone, on one line", where)
		}
	}
	if token == "" {
		return fmt.Errorf("%s is empty: want a token", where)
	}
	return nil
}
