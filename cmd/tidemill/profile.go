package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/profiles"
)

// profileKind is one of the profiles of a running server.
type profileKind struct {
	name    string
	path    string // below profiles.Path
	seconds int    // how long it lasts unless told otherwise; 0: a moment
	about   string
}

var profileKinds = []profileKind{
	{"cpu", "profile", 10, "where the processor's time goes"},
	{"heap", "heap", 0, "what memory is in use, and who allocated it"},
	{"allocs", "allocs", 0, "what was allocated since the start"},
	{"mutex", "mutex", 10, "who holds mutexes that others wait for"},
	{"block", "block", 10, "who waits, and for how long"},
	{"goroutine", "goroutine", 0, "what all goroutines do"},
	{"threadcreate", "threadcreate", 0, "what made threads of the system"},
	{"trace", "trace", 5, "what ran when, for go tool trace"},
}

func newProfile(environ []string) *cobra.Command {
	var seconds int
	var out string
	c := &cobra.Command{
		Use:   "profile [KIND]",
		Short: "Fetch a profile of a running server",
		Long: "Fetch a profile from the admin listener and say how to look at it. KIND is\n\n" + profileTable() + "\n" +
			"Profiles tell the parts of the server apart by the tag \"stage\": api, publish, commit,\n" +
			"loop, apply, deliver, flush, reclaim, scrub and others. Mutexes and blocking are recorded\n" +
			"only while such a profile is taken.",
		Args:    cobra.MaximumNArgs(1),
		Example: "  tidemill profile --seconds 30\n  tidemill profile heap --out heap.pprof --from http://10.0.0.7:9080",
	}
	for _, k := range profileKinds {
		c.ValidArgs = append(c.ValidArgs, k.name)
	}
	s := bindAdmin(c, environ)
	c.Flags().IntVar(&seconds, "seconds", 0, "how long it lasts; 0: the default of its kind. Of heap and allocs, what changed meanwhile")
	c.Flags().StringVar(&out, "out", "", "file to write it to, - for standard output (default tidemill-KIND-TIME.pprof)")
	c.RunE = func(c *cobra.Command, args []string) error {
		kind, err := profileOf(args)
		if err != nil {
			return err
		}
		if seconds == 0 {
			seconds = kind.seconds
		}
		if out == "" {
			out = fmt.Sprintf("tidemill-%s-%s%s", kind.name, time.Now().Format("20060102-150405"), kind.suffix())
		}
		return fetchProfile(c, s, kind, seconds, out)
	}
	return c
}

func profileTable() string {
	var b strings.Builder
	for _, k := range profileKinds {
		lasts := ""
		if k.seconds > 0 {
			lasts = fmt.Sprintf(" (%d s)", k.seconds)
		}
		fmt.Fprintf(&b, "  %-13s %s%s\n", k.name, k.about, lasts)
	}
	return b.String()
}

func profileOf(args []string) (*profileKind, error) {
	if len(args) == 0 {
		return &profileKinds[0], nil
	}
	names := make([]string, len(profileKinds))
	for i := range profileKinds {
		if names[i] = profileKinds[i].name; names[i] == args[0] {
			return &profileKinds[i], nil
		}
	}
	return nil, exit.With(exit.Usage, fmt.Errorf("there is no profile %q: want %s", args[0], strings.Join(names, ", ")))
}

func (k *profileKind) suffix() string {
	if k.name == "trace" {
		return ".trace"
	}
	return ".pprof"
}

func fetchProfile(c *cobra.Command, s *source, kind *profileKind, seconds int, out string) error {
	path := profiles.Path + kind.path
	if seconds != 0 {
		path += fmt.Sprintf("?seconds=%d", seconds)
		fmt.Fprintf(c.ErrOrStderr(), "taking a %s profile, %d s\n", kind.name, seconds)
	}
	body, err := s.ask(c.Context(), path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == "-" {
		_, err := io.Copy(c.OutOrStdout(), body)
		return asBrokenProfile(err)
	}
	n, err := writeWhole(out, body)
	if err != nil {
		return asBrokenProfile(err)
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %s\n%s", out, config.FormatSize(n), kind.next(out))
	return nil
}

func asBrokenProfile(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("the profile is incomplete, and not kept: %w", err)
}

// next says what to type to look at a profile.
func (k *profileKind) next(file string) string {
	switch k.name {
	case "trace":
		return "Look at it:  go tool trace " + file + "\n"
	case "cpu", "goroutine":
		return "Look at it:  go tool pprof -http=: " + file + "\n" +
			"One part:    go tool pprof -top -tagfocus=stage=deliver " + file + "\n"
	}
	return "Look at it:  go tool pprof -http=: " + file + "\n"
}

// writeWhole writes a file, whole or not at all, and returns its length.
func writeWhole(path string, r io.Reader) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".profile-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	n, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return n, err
	}
	return n, os.Rename(f.Name(), path)
}
