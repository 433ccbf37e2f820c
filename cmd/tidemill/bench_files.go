package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/about"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// benchFiles are where a report goes beside the standard output.
type benchFiles struct{ json, html, svg string }

// bindPictures defines the flags for what is made from reports.
func (f *benchFiles) bindPictures(flags *pflag.FlagSet) {
	flags.StringVar(&f.html, "html", "", "write one page with plots there, which needs nothing else")
	flags.StringVar(&f.svg, "svg", "", "write a chart of the ratios there")
}

func (f *benchFiles) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.json, "json", "", "write the report there, as JSON: a `file` for bench compare and bench report")
	f.bindPictures(flags)
}

// check finds out before a run whether its files can be written after it.
func (f *benchFiles) check() error {
	for _, path := range []string{f.json, f.html, f.svg} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("the report cannot be written to %s: %w", path, err)
		}
	}
	return nil
}

// write writes those that were asked for. JSON is of the first report: one file holds one.
func (f *benchFiles) write(reports ...*bench.Report) error {
	var err error
	if f.json != "" {
		err = writeBenchFile(f.json, reports[0].WriteJSON)
	}
	if f.html != "" {
		err = errors.Join(err, writeBenchFile(f.html, func(w io.Writer) error { return bench.WriteHTML(w, reports...) }))
	}
	if f.svg != "" {
		err = errors.Join(err, writeBenchFile(f.svg, func(w io.Writer) error { return bench.WriteSVG(w, reports...) }))
	}
	return err
}

// writeBenchFile writes a file, or none if there is nothing to be written.
func writeBenchFile(path string, render func(io.Writer) error) error {
	var b bytes.Buffer
	err := render(&b)
	if err == nil {
		err = os.WriteFile(path, b.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// benchSetting is what a report says of the run that the harness cannot know. Of a server
// that runs already the disk and its mode are not known here.
func benchSetting(environ, serveArgs []string, machine, url, data string) bench.Setting {
	b := about.ThisBuild()
	s := bench.Setting{Machine: machine, Build: "tidemill " + b.Version}
	if b.Revision != "" {
		s.Build += fmt.Sprintf(" (commit %.12s", b.Revision)
		if b.Dirty {
			s.Build += ", changed"
		}
		s.Build += ")"
	}
	if url != "" {
		s.Build = "the harness: " + s.Build
		return s
	}
	s.Fsync = serveFsync(environ, serveArgs)
	if s.Data = data; s.Data == "" {
		s.Data = "."
	}
	return s
}

// serveFsync is what log.fsync of a server with these flags is, "" if it will not start with
// them, which it says better itself.
func serveFsync(environ, args []string) string {
	c := &cobra.Command{}
	sources := config.Bind(c, false, environ)
	if err := c.ParseFlags(args); err != nil {
		return ""
	}
	cfg, err := sources.Load()
	if err != nil {
		return ""
	}
	return (*config.FsyncValue)(&cfg.FsyncInterval).String()
}

func newBenchReport() *cobra.Command {
	var files benchFiles
	c := &cobra.Command{
		Use:   "report FILE|DIR...",
		Short: "Make a page and a chart of saved reports",
		Long: "Make one page with plots, and one chart of the ratios, of reports that --json has saved,\n" +
			"such as those of `make bench`. A directory stands for its *.json.",
		Example: "  tidemill bench report dist/bench --html report.html --svg ratios.svg",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if files == (benchFiles{}) {
				return exit.With(exit.Usage, errors.New("what is to be made of them? Name a file with --html or with --svg"))
			}
			reports, err := bench.ReadReports(args...)
			if err != nil {
				return reportsError(err)
			}
			return files.write(reports...)
		},
	}
	files.bindPictures(c.Flags())
	return c
}
