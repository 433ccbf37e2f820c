package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
)

func newReload(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have a running server read its configuration again",
		Long: "Have a running server read its configuration again, as SIGHUP does: its flags and\n" +
			"environment stay what they were, the file and the files of secrets may have changed.\n" +
			"What can be is changed at once; what needs a restart is named and keeps its value.\n" +
			"If anything is wrong nothing changes, the reasons are printed, and the status is 78.",
		Args: cobra.NoArgs,
	}
	s := bindAdmin(c, environ)
	s.badRequest = exit.Config
	c.RunE = func(c *cobra.Command, _ []string) error {
		body, err := s.ask(c.Context(), "/reload", nil)
		if err != nil {
			return err
		}
		defer body.Close()
		var answer reloadAnswer
		if err := json.NewDecoder(body).Decode(&answer); err != nil {
			return exit.With(exit.Unavailable, fmt.Errorf("read the answer: %w", err))
		}
		return answer.print(c.OutOrStdout())
	}
	return c
}

func (a *reloadAnswer) print(w io.Writer) error {
	if len(a.Changed)+len(a.Restart) == 0 {
		_, err := fmt.Fprintln(w, "Reloaded: nothing has changed")
		return err
	}
	var errs []error
	line := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		errs = append(errs, err)
	}
	for _, c := range a.Changed {
		line("%s: %s → %s", c.Name, c.From, c.To)
	}
	for _, c := range a.Restart {
		line("%s: stays %s, a restart makes it %s", c.Name, c.From, c.To)
	}
	return errors.Join(errs...)
}

// reload is POST /reload.
func (a *admin) reload(w http.ResponseWriter, r *http.Request, _ *engine.Engine) {
	answer, err := a.reloads.ask(r.Context())
	switch {
	case errors.Is(err, errStopping):
		adminError(w, http.StatusServiceUnavailable, err.Error())
	case err != nil:
		adminError(w, http.StatusBadRequest, err.Error())
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}
