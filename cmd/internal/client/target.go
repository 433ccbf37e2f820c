package client

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// Target is where a server is and who asks it.
type Target struct {
	url     string
	token   *Token
	environ []string
}

// BindTarget defines the flags --url and --token-file.
func BindTarget(f *pflag.FlagSet, environ []string) *Target {
	t := &Target{environ: environ}
	f.StringVar(&t.url, "url", "", "address of the server [$QSTASH_URL]")
	t.token = BindToken(f, environ)
	return t
}

// Named says whether a flag or the environment names a server.
func (t *Target) Named() bool {
	dev, err := t.dev()
	return t.url != "" || config.Env(t.environ, "QSTASH_URL") != "" || dev != "" || err != nil // the last is for Open to tell
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
	otherwise := ""
	if dev != "" {
		otherwise = DevToken
	}
	token, err := t.token.get(otherwise)
	if err != nil {
		return nil, err
	}
	return newServer(base, token), nil
}

// dev is the address of `tidemill dev` if QSTASH_DEV asks for it, as it does of the official
// clients, else "".
func (t *Target) dev() (string, error) {
	switch v := config.Env(t.environ, "QSTASH_DEV"); v {
	case "true", "1":
		port := config.Env(t.environ, "QSTASH_DEV_PORT")
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
		name, text = "QSTASH_URL", config.Env(t.environ, "QSTASH_URL")
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
