package about

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// NewMan returns the command `man`. Its pages are of the commands beside it.
func NewMan() *cobra.Command {
	dir := ""
	c := &cobra.Command{
		Use:   "man",
		Short: "Print the manual page, or write one for each command",
		Long: "Print the manual page of tidemill, or write one for each command into a directory.\n" +
			"Read it with `tidemill man | man -l -`. SOURCE_DATE_EPOCH sets the date in pages of a\n" +
			"build that does not know when its source was committed.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return writeRoot(c.Root(), c.OutOrStdout())
			}
			return writeAll(c.Root(), dir)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory to write the pages to, made if it is not there")
	return c
}

func header() *doc.GenManHeader {
	return &doc.GenManHeader{Section: "1", Source: "Tidemill " + ThisBuild().Version, Manual: "Tidemill", Date: ThisBuild().Time}
}

// writeAll writes a page for each command, named as in `man tidemill-wal-verify`.
func writeAll(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return exit.With(exit.IO, fmt.Errorf("make the directory of the manual: %w", err))
	}
	root.DisableAutoGenTag = true
	opts := doc.GenManTreeOptions{Header: header(), Path: dir, CommandSeparator: "-"}
	if err := doc.GenManTreeFromOpts(root, opts); err != nil {
		return exit.With(exit.IO, fmt.Errorf("write the manual: %w", err))
	}
	page := filepath.Join(dir, root.Name()+".1")
	f, err := os.Create(page)
	if err != nil {
		return exit.With(exit.IO, fmt.Errorf("write the manual: %w", err))
	}
	if err := writeRoot(root, f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// writeRoot writes the page of the program itself, which also has what holds for all
// commands.
func writeRoot(root *cobra.Command, w io.Writer) error {
	root.DisableAutoGenTag = true
	if err := doc.GenMan(root, header(), w); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(".SH EXIT STATUS\n")
	for _, s := range exit.Statuses {
		item(&b, fmt.Sprintf("%d (%s)", s.Status, s.Name), s.Meaning)
	}
	b.WriteString(".SH ENVIRONMENT\n")
	for _, v := range variables {
		item(&b, v.name, v.meaning)
	}
	b.WriteString(".SH FILES\n")
	for _, f := range files {
		item(&b, f.name, f.meaning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// item writes a paragraph with a tag, in roff.
func item(b *strings.Builder, tag, text string) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fP\n%s\n", roff(tag), roff(text))
}

// roff escapes text that begins a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

type entry struct{ name, meaning string }

var variables = []entry{
	{"TIDEMILL_*", "settings of the server: log.fsync is TIDEMILL_LOG_FSYNC. A flag wins over a variable, a variable over the configuration file. tidemill-serve(1) lists them."},
	{"QSTASH_URL, QSTASH_TOKEN", "the server that client commands talk to, and the token they show it"},
	{"NO_COLOR", "if set, nothing is printed in colour"},
	{"GOMEMLIMIT", "the memory limit of Go's collector, in place of the one that follows from the control group"},
	{"NOTIFY_SOCKET, WATCHDOG_USEC", "set by systemd: where the server tells how it is, and how often it has to"},
	{"LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES", "set by systemd: sockets named api and admin that the server takes in place of its own"},
	{"CREDENTIALS_DIRECTORY", "set by systemd: secrets as files, auth.token, auth.signing-key, auth.next-signing-key, alerts.webhook, alerts.webhook-secret"},
	{"SOURCE_DATE_EPOCH", "the date of manual pages"},
}

var files = []entry{
	{"/etc/tidemill/tidemill.toml", "the configuration of the packaged service"},
	{"/var/lib/tidemill", "its data; credentials.toml there holds the token and the keys of the first start"},
}
