// Package about is what the program says of itself: which version it is, what data it reads
// and writes, and its manual.
package about

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// version is set by a release (make deb), with -ldflags -X. Otherwise it is what Go knows.
var version string

// Build is what this binary was built from. Its JSON is a contract: names are added only.
type Build struct {
	Version  string            `json:"version"`
	Revision string            `json:"revision"` // of the source; "" if the build did not know
	Time     *time.Time        `json:"revisionTime,omitempty"`
	Dirty    bool              `json:"dirty"` // the source differed from the revision
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Formats  map[string]Format `json:"formats"`
}

// Format is which versions of some data this program reads, the oldest and the newest, and
// which it writes. Data of a newer version are refused, and left as they are.
type Format struct {
	Oldest int `json:"readsFrom"`
	Newest int `json:"readsTo"`
	Writes int `json:"writes"`
}

// ThisBuild returns what is known of this binary.
func ThisBuild() Build {
	b := Build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Formats: formats()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				b.Time = &t
			}
		}
	}
	return b
}

// formats are the data that outlive a process. The index is no loss: one of an older layout
// is rebuilt from the log.
func formats() map[string]Format {
	directory, err := strconv.Atoi(engine.DataVersion)
	if err != nil {
		panic("about: BUG: the directory's version is no number: " + err.Error())
	}
	return map[string]Format{
		"directory": {directory, directory, directory},
		"log":       {1, wal.FormatVersion, wal.FormatVersion},
		"records":   {1, record.NewestVersion, record.NewestVersion},
		"index":     {index.Layout, index.Layout, index.Layout},
	}
}

// Line is a Build on one line.
func Line() string {
	b := ThisBuild()
	if b.Revision == "" {
		b.Revision = "unknown"
	}
	return fmt.Sprintf("tidemill %s (commit %s, %s %s)", b.Version, b.Revision, b.Go, b.Platform)
}

// NewVersion returns the command `version`.
func NewVersion() *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit and Go version; as JSON also the formats of data",
		Example: "  tidemill version\n  tidemill version -o json",
		Args:    cobra.NoArgs,
	}
	output := config.BindChoice(c, "output", "o", "how to print it", "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *output == "json" {
			enc := json.NewEncoder(c.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(ThisBuild())
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), Line())
		return err
	}
	return c
}
