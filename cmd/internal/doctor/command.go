package doctor

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// New is the command. loadRoots is how the server reads destinations.ca-file.
func New(environ []string, loadRoots func(file string) (*x509.CertPool, error)) *cobra.Command {
	p := &patient{loadRoots: loadRoots, syncFor: time.Second}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check disk, flushes, limits, clock, ports and permissions, and say what to change",
		Long: "Look at the machine, the data directory and the settings that a server is to be started with:\n" +
			"the file system and its room, how long a flush takes, open files, memory, processors, the\n" +
			"kernel's settings, certificates, ports and the clock. Give the settings as for `serve`.\n\n" +
			"It prints a line for each check: ok, warn (it works, and may disappoint), fail (a server would\n" +
			"not start, or not keep its promises) or skip (not looked at), what was found, and what to do.\n" +
			"The exit status is 1 if anything fails.\n\n" +
			"It may run beside a server, whose data it does not touch. The flushes are measured with a\n" +
			"temporary file of 1 MiB in the data directory, or above it if that is not there yet.",
		Example: "  tidemill doctor --data /var/lib/tidemill\n" +
			"  tidemill doctor --data /var/lib/tidemill --from http://127.0.0.1:9080 -o json",
		Args: cobra.NoArgs,
	}
	sources := config.Bind(c, false, environ)
	c.Flags().StringVar(&p.from, "from", "", "admin listener of a running server that should answer (default what admin.listen says, and none has to)")
	c.Flags().Var((*config.DurationValue)(&p.syncFor), "flush-time", "how long flushes are measured; 0: not at all")
	output := config.BindChoice(c, "output", "o", "how to print them (json: one object with all checks)", "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		p.cfg, p.cfgErr = sources.Load() // what could be read is there in spite of an error
		if *output == "json" {
			return reportJSON(c, p)
		}
		return reportText(c, p)
	}
	return c
}

// reportText prints each check when it is made.
func reportText(c *cobra.Command, p *patient) error {
	var t tally
	p.examine(c.Context(), func(check Check) {
		t.add(check.State)
		_, _ = io.WriteString(c.OutOrStdout(), check.line())
	})
	return errors.Join(t.write(c.OutOrStdout()), t.verdict())
}

func reportJSON(c *cobra.Command, p *patient) error {
	report := struct {
		tally
		Checks []Check `json:"checks"`
	}{}
	p.examine(c.Context(), func(check Check) {
		report.add(check.State)
		report.Checks = append(report.Checks, check)
	})
	enc := json.NewEncoder(c.OutOrStdout())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return errors.Join(enc.Encode(report), report.verdict())
}

// verdict is an error if a check failed.
func (t *tally) verdict() error {
	if t.Fail == 0 {
		return nil
	}
	return exit.With(exit.Failure, fmt.Errorf("%d of %d checks failed", t.Fail, t.OK+t.Warn+t.Fail))
}
