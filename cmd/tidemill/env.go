package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func newEnv(environ []string) *cobra.Command {
	url, dev := "", false
	c := &cobra.Command{
		Use:   "env --data DIR | --dev",
		Short: "Print the QSTASH_... variables that clients of a server need",
		Long: "Print QSTASH_URL, QSTASH_TOKEN and the signing keys as lines to copy: those that the first\n" +
			"start of `serve` wrote into its data directory, or those of `dev`. They are secrets, but for\n" +
			"dev's. Keys that were rotated since, and other tokens, are not among them.",
		Example: "  eval \"$(tidemill env --dev)\"\n" +
			"  tidemill env --data /var/lib/tidemill --url https://queue.example.com --format docker > queue.env",
		Args: cobra.NoArgs,
	}
	data := bindData(c, environ, "data directory of `serve`")
	c.Flags().BoolVar(&dev, "dev", false, "the first user of `tidemill dev`")
	c.Flags().StringVar(&url, "url", "", "address that clients reach the server at (default this machine, at the port that listen says)")
	format := config.BindChoice(c, "format", "", "how to print them", "shell", "dotenv", "docker", "json")
	c.MarkFlagsMutuallyExclusive("data", "dev")
	c.RunE = func(c *cobra.Command, _ []string) error {
		made, err := envCredentials(data, dev)
		if err != nil {
			return err
		}
		if url == "" {
			if url, err = localURL(data, dev); err != nil {
				return err
			}
		}
		return writeEnv(c.OutOrStdout(), *format, slices.Concat([]pair{{"QSTASH_URL", url}}, made.there()))
	}
	return c
}

// localURL is where a client on this machine reaches the server of a directory, or dev.
func localURL(data *dataFlag, dev bool) (string, error) {
	listen := config.DevDefault().Listen
	if dev {
		return "http://" + listen, nil
	}
	said, err := config.Lookup(data.environ, data.config, "listen")
	if err != nil {
		return "", err
	}
	if said != "" {
		listen = said
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", exit.With(exit.Config, fmt.Errorf("listen: %w; or give the address with --url", err))
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// envCredentials are dev's, or what the first start wrote.
func envCredentials(data *dataFlag, dev bool) (*credentials, error) {
	if dev {
		return &devUsers[0], nil
	}
	dir, err := data.get()
	if err != nil {
		return nil, fmt.Errorf("%w, or take those of `tidemill dev` with --dev", err)
	}
	return readCredentialsFile(credentialsPath(dir))
}

func readCredentialsFile(path string) (*credentials, error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, exit.With(exit.NoInput, fmt.Errorf("%w: the first start of `tidemill serve` writes it", err))
	case errors.Is(err, os.ErrPermission):
		return nil, exit.With(exit.Denied, fmt.Errorf("%w: it is for the user that the server runs as", err))
	case err != nil:
		return nil, err
	}
	var file struct {
		Token   string `toml:"QSTASH_TOKEN"`
		Current string `toml:"QSTASH_CURRENT_SIGNING_KEY"`
		Next    string `toml:"QSTASH_NEXT_SIGNING_KEY"`
	}
	err = toml.Unmarshal(b, &file)
	c := (*credentials)(&file)
	if err != nil || len(c.there()) == 0 { // the error would show a line
		return nil, exit.With(exit.Data, fmt.Errorf("%s was changed: neither QSTASH_TOKEN nor a signing key is in it", path))
	}
	return c, nil // what the configuration brings is not among them
}

// writeEnv writes variables, none of whose values has a line break.
func writeEnv(w io.Writer, format string, pairs []pair) error {
	var b strings.Builder
	values := map[string]string{}
	for _, p := range pairs {
		values[p.name] = p.value
		switch format {
		case "shell":
			fmt.Fprintf(&b, "export %s='%s'\n", p.name, strings.ReplaceAll(p.value, "'", `'\''`))
		case "dotenv":
			fmt.Fprintf(&b, "%s=%q\n", p.name, p.value)
		case "docker": // --env-file takes a line as it is
			fmt.Fprintf(&b, "%s=%s\n", p.name, p.value)
		}
	}
	if format == "json" {
		text, err := json.MarshalIndent(values, "", "  ")
		if err != nil {
			return err
		}
		b.Write(append(text, '\n'))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
