package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/profiles"
	"github.com/tidemill/tidemill/engine"
)

// source is where a command takes a server's data from: the admin listener of one
// that runs, or the directory of one that does not.
type source struct {
	data dataFlag
	from string
	only bool // there is no --data

	badRequest exit.Status // of an answer 400; 0: that of a wrong command line
}

func bindSource(c *cobra.Command, environ []string) *source {
	s := &source{data: dataFlag{environ: environ}}
	c.Flags().StringVar(&s.from, "from", "", "admin listener of the running server (default http://127.0.0.1:9080, or what $"+config.EnvPrefix+"ADMIN_LISTEN says)")
	c.Flags().StringVar(&s.data.dir, "data", "", "data directory of a server that is stopped, instead of --from")
	config.BindFile(c, &s.data.config)
	c.MarkFlagsMutuallyExclusive("from", "data")
	return s
}

// bindAdmin is bindSource for a command that only a running server can answer.
func bindAdmin(c *cobra.Command, environ []string) *source {
	s := &source{data: dataFlag{environ: environ}, only: true}
	c.Flags().StringVar(&s.from, "from", "", "admin listener of the server (default http://127.0.0.1:9080, or what $"+config.EnvPrefix+"ADMIN_LISTEN says)")
	config.BindFile(c, &s.data.config)
	return s
}

// offline opens and locks the directory, nil if the server is to be asked. The
// caller closes it.
func (s *source) offline() (*engine.Offline, error) {
	if s.data.dir == "" {
		return nil, nil
	}
	dir, err := s.data.open()
	if err != nil {
		return nil, err
	}
	if err := dir.Lock(); err != nil {
		return nil, fmt.Errorf("%w; a running server's data are read through its admin listener (--from URL)", err)
	}
	return dir, nil
}

// ask makes one request to the admin listener; body may be nil. The caller closes the
// answer.
func (s *source) ask(ctx context.Context, path string, body io.Reader) (io.ReadCloser, error) {
	base, err := s.url()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req) // no proxy: it is this machine's, or a neighbour's
	if err != nil {
		hint := "Name its admin listener with --from URL"
		if !s.only {
			hint += ", or the directory of a stopped one with --data DIR"
		}
		return nil, exit.With(exit.Unavailable, fmt.Errorf("no server answers: %w\n%s", err, hint))
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		status := client.ExitStatus(resp.StatusCode)
		if s.badRequest != 0 && resp.StatusCode == http.StatusBadRequest {
			status = s.badRequest
		}
		return nil, exit.With(status, fmt.Errorf("%s: %s", base, adminAnswer(resp)))
	}
	return resp.Body, nil
}

func (s *source) url() (string, error) {
	from := s.from
	if from == "" {
		var err error
		if from, err = config.Lookup(s.data.environ, s.data.config, "admin.listen"); err != nil {
			return "", err
		}
	}
	if from == "" || from == config.AdminAuto {
		from = config.Default().AdminListen
	}
	if !strings.Contains(from, "://") {
		from = "http://" + from
	}
	u, err := url.Parse(from)
	if err != nil || u.Host == "" {
		return "", exit.With(exit.Usage, fmt.Errorf("--from %q is no address: want one such as http://127.0.0.1:9080", from))
	}
	return strings.TrimSuffix(from, "/"), nil
}

func adminAnswer(resp *http.Response) string {
	var answer struct {
		Error  string
		Absent bool // what was named is not there; another 404 is that of a listener which is none of ours
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if resp.Header.Get(profiles.Refused) != "" {
		return strings.TrimSpace(string(b))
	}
	if json.Unmarshal(b, &answer) == nil && answer.Error != "" && (answer.Absent || resp.StatusCode != http.StatusNotFound) {
		return answer.Error
	}
	return resp.Status + ": is this the admin listener of a tidemill that knows this command?"
}
