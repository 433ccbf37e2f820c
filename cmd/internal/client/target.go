package client

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// DevToken is the first of the published test users of `tidemill dev` (QSTASH.md §1.5): no secret.
const DevToken = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0="

// Target is where a server is and who asks it. A token is no flag, since everybody on a machine can
// read the command lines of its processes (P45).
type Target struct {
	url       string
	tokenFile string
	environ   []string
}

// BindTarget defines the flags --url and --token-file.
func BindTarget(f *pflag.FlagSet, environ []string) *Target {
	t := &Target{environ: environ}
	f.StringVar(&t.url, "url", "", "address of the server [$QSTASH_URL]")
	f.StringVar(&t.tokenFile, "token-file", "", "file that holds the token, instead of $QSTASH_TOKEN")
	return t
}

// Named says whether a flag or the environment names a server.
func (t *Target) Named() bool {
	dev, err := t.dev()
	return t.url != "" || t.env("QSTASH_URL") != "" || dev != "" || err != nil // the last is for Open to tell
}

// Open finds the server and the token, and connects to nobody. The caller closes the server. Its
// errors have the status exit.Config, and say what to set.
func (t *Target) Open() (*Server, error) {
	dev, err := t.dev()
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	base, err := t.base(dev)
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	token, err := t.token(dev)
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	return newServer(base, token), nil
}

// dev is the address of `tidemill dev` if QSTASH_DEV asks for it, as it does of the official
// clients, else "".
func (t *Target) dev() (string, error) {
	switch v := t.env("QSTASH_DEV"); v {
	case "true", "1":
		port := t.env("QSTASH_DEV_PORT")
		if port == "" {
			port = "8080"
		}
		return "http://127.0.0.1:" + port, nil
	case "", "false", "0":
		return "", nil
	default:
		return "", fmt.Errorf("QSTASH_DEV is %q: set it to true for `tidemill dev`, or unset it", v)
	}
}

func (t *Target) base(dev string) (string, error) {
	name, text := "--url", t.url
	if text == "" {
		name, text = "QSTASH_URL", t.env("QSTASH_URL")
	}
	if text == "" {
		text = dev
	}
	if text == "" {
		return "", errors.New("which server? Set QSTASH_URL to its address or give --url, such as http://127.0.0.1:8080 " +
			"(QSTASH_DEV=true stands for `tidemill dev`)")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", fmt.Errorf("%s is no address of a server: want one such as http://127.0.0.1:8080", name)
	case u.User != nil:
		return "", fmt.Errorf("%s has a user or a password in it: leave them out, the token goes into QSTASH_TOKEN", name)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%s has a query or a fragment: want an address such as http://127.0.0.1:8080", name)
	}
	return strings.TrimRight(text, "/"), nil
}

func (t *Target) token(dev string) (string, error) {
	if t.tokenFile != "" {
		return readToken(t.tokenFile)
	}
	if token := t.env("QSTASH_TOKEN"); token != "" {
		return checkToken("QSTASH_TOKEN", token)
	}
	if dev != "" {
		return DevToken, nil
	}
	return "", errors.New("which token? Set QSTASH_TOKEN, or name a file that holds it with --token-file " +
		"(the first one is in credentials.toml of the data directory; `tidemill token create` makes others)")
}

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return checkToken("the file "+path, strings.TrimSpace(string(b)))
}

// checkToken refuses what cannot stand in a header, without showing it.
func checkToken(where, token string) (string, error) {
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f {
			return "", fmt.Errorf("%s holds more than a token: want the token alone, on one line", where)
		}
	}
	if token == "" {
		return "", fmt.Errorf("%s is empty: want a token", where)
	}
	return token, nil
}

func (t *Target) env(name string) string {
	for _, kv := range t.environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}
