package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func newEnv(environ []string) *cobra.Command {
	format, url, dev := envFormat("shell"), "", false
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
	c.Flags().StringVar(&url, "url", "", "address that clients reach the server at (default http://127.0.0.1:8080)")
	c.Flags().Var(&format, "format", "shell, dotenv, docker or json")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(envFormats, cobra.ShellCompDirectiveNoFileComp))
	c.MarkFlagsMutuallyExclusive("data", "dev")
	c.RunE = func(c *cobra.Command, _ []string) error {
		made, err := envCredentials(data, dev)
		if err != nil {
			return err
		}
		if url == "" {
			url = "http://" + config.DevDefault().Listen
		}
		pairs := made.pairs()
		return format.write(c.OutOrStdout(), slices.Concat([][2]string{{"QSTASH_URL", url}}, pairs[:]))
	}
	return c
}

// envCredentials are dev's, or what the first start wrote.
func envCredentials(data *dataFlag, dev bool) (*credentials, error) {
	if dev {
		return &devUsers[0], nil
	}
	dir, err := data.get()
	if err != nil {
		return nil, exit.With(exit.Config, fmt.Errorf("%w, or take those of `tidemill dev` with --dev", err))
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
	if toml.Unmarshal(b, &file) != nil || file.Token == "" || file.Current == "" || file.Next == "" { // the error would show a line
		return nil, exit.With(exit.Data, fmt.Errorf("%s was changed: QSTASH_TOKEN and the two signing keys are not in it", path))
	}
	return (*credentials)(&file), nil
}

// envFormat is how variables are written.
type envFormat string

var envFormats = []string{"shell", "dotenv", "docker", "json"}

func (f *envFormat) String() string { return string(*f) }
func (f *envFormat) Type() string   { return "format" }

func (f *envFormat) Set(s string) error {
	if !slices.Contains(envFormats, s) {
		return errors.New("want shell, dotenv, docker or json")
	}
	*f = envFormat(s)
	return nil
}

// write writes variables, none of whose values has a line break.
func (f envFormat) write(w io.Writer, pairs [][2]string) error {
	var b strings.Builder
	values := map[string]string{}
	for _, kv := range pairs {
		values[kv[0]] = kv[1]
		switch f {
		case "shell":
			fmt.Fprintf(&b, "export %s='%s'\n", kv[0], strings.ReplaceAll(kv[1], "'", `'\''`))
		case "dotenv":
			fmt.Fprintf(&b, "%s=%q\n", kv[0], kv[1])
		case "docker": // --env-file takes a line as it is
			fmt.Fprintf(&b, "%s=%s\n", kv[0], kv[1])
		}
	}
	if f == "json" {
		text, err := json.MarshalIndent(values, "", "  ")
		if err != nil {
			return err
		}
		b.Write(append(text, '\n'))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
