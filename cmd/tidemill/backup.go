package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
)

func newBackup(environ []string) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "backup --to DIR|FILE.tar|-",
		Short: "Copy a running server's data, or a stopped one's",
		Long: "Copy everything that a server has on disk: what was acknowledged before the command began\n" +
			"is in the copy. The running server goes on meanwhile; it is asked through its admin\n" +
			"listener. --to a directory makes one that is checked in full and that a server could run\n" +
			"on; --to a name that ends in .tar, or - for standard output, makes a tar.\n\n" +
			"A backup holds messages, signing keys and the hashes of tokens: keep it secret. The file\n" +
			"credentials.toml is not in it.",
		Args: cobra.NoArgs,
		Example: "  tidemill backup --to /backups/monday\n" +
			"  tidemill backup --to - | zstd > monday.tar.zst\n" +
			"  tidemill backup --data /var/lib/tidemill --to monday.tar",
	}
	c.Flags().StringVar(&to, "to", "", "where the copy goes: a directory that is empty or missing, a file NAME.tar, or -")
	s := bindSource(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if to == "" {
			return exit.With(exit.Usage, errors.New("where to? Name a directory, a file NAME.tar or - with --to"))
		}
		if err := outsideData(to); err != nil {
			return err
		}
		return s.stream(c, func(r io.Reader) error { return putBackup(c, to, r) })
	}
	return c
}

// stream calls put with a backup, read from the server or made of the directory.
func (s *source) stream(c *cobra.Command, put func(io.Reader) error) (err error) {
	dir, err := s.offline()
	if err != nil {
		return err
	}
	if dir == nil {
		body, err := s.ask(c.Context(), "/backup", nil)
		if err != nil {
			return err
		}
		defer body.Close()
		return put(body)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return pipeBackup(c, dir, put)
}

// pipeBackup makes a backup of a directory while put reads it.
func pipeBackup(c *cobra.Command, dir *engine.Offline, put func(io.Reader) error) error {
	r, w := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		rep, noIndex, err := dir.Backup(w)
		w.CloseWithError(err) // nil: the end
		if err == nil && noIndex != nil {
			fmt.Fprintln(c.ErrOrStderr(), "tidemill: the index was left out, it will be rebuilt:", noIndex)
		}
		if err == nil && len(rep.Damages) > 0 {
			fmt.Fprintln(c.ErrOrStderr(), "tidemill: the log is damaged; what is intact was copied, and this was not:")
			printReport(c.ErrOrStderr(), rep)
		}
		wrote <- err
	}()
	err := put(r)
	r.Close() // a writer that is not done hears of it
	if writeErr := <-wrote; err == nil || errors.Is(err, writeErr) {
		return writeErr
	}
	return err
}

// putBackup brings a backup where it shall go, and says where it is.
func putBackup(c *cobra.Command, to string, r io.Reader) error {
	switch {
	case to == "-":
		_, err := engine.CheckBackup(io.TeeReader(r, c.OutOrStdout()))
		return err
	case strings.HasSuffix(to, ".tar"):
		b, err := writeTar(to, r)
		if err == nil {
			fmt.Fprintf(c.OutOrStdout(), "Backup of %s in %s: %d bytes.\n", b.Created.Format("2006-01-02 15:04:05 MST"), to, b.Bytes)
		}
		return err
	}
	b, err := engine.Restore(nil, to, r)
	if err == nil {
		fmt.Fprintf(c.OutOrStdout(), "Backup of %s in %s: %d bytes, %s, all checked.\n",
			b.Created.Format("2006-01-02 15:04:05 MST"), to, b.Bytes, count(b.Records, "log record"))
	}
	return err
}

// outsideData refuses a place below a data directory: a backup that is lost with what it is
// the backup of, and a server's directory with something else in it.
func outsideData(to string) error {
	if to == "-" {
		return nil
	}
	abs, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(abs); ; dir = filepath.Dir(dir) {
		_, noVersion := os.Stat(filepath.Join(dir, "VERSION"))
		_, noLog := os.Stat(filepath.Join(dir, "log"))
		if noVersion == nil && noLog == nil {
			return exit.With(exit.Usage, fmt.Errorf("%s is inside the data directory %s: name a place outside of it", to, dir))
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// writeTar puts the stream in a file that is there in full or not at all. A file of
// that name is not overwritten.
func writeTar(to string, r io.Reader) (*engine.Restored, error) {
	if _, err := os.Lstat(to); err == nil {
		return nil, fmt.Errorf("%s exists: name another file with --to, or remove it", to)
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".backup-*.tar") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	b, err := engine.CheckBackup(io.TeeReader(r, f))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		return nil, err
	}
	return b, syncDir(filepath.Dir(to))
}

func newRestore(environ []string) *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "restore --from DIR|FILE.tar|- --data DIR",
		Short: "Make a data directory from a backup",
		Long: "Make a data directory from a backup and check all of it: every checksum, that the log ends\n" +
			"where the backup did, that the index goes with it. The directory must be empty or missing.\n" +
			"If anything is wrong, nothing is left behind.\n\n" +
			"The restored server has the message ids of the old one, and delivers what was pending when\n" +
			"the backup was made: what the old one has delivered since is delivered again.",
		Args:    cobra.NoArgs,
		Example: "  tidemill restore --from /backups/monday --data /var/lib/tidemill\n  zstd -dc monday.tar.zst | tidemill restore --from - --data new",
	}
	c.Flags().StringVar(&from, "from", "", "the backup: a directory, a tar file, or - for standard input")
	data := bindData(c, environ, "data directory to be made")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := data.get()
		if err != nil {
			return err
		}
		if from == "" {
			return exit.With(exit.Usage, errors.New("from what? Name a backup with --from"))
		}
		return openBackup(c, from, func(r io.Reader) error {
			b, err := engine.Restore(nil, dir, r)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Restored the backup of %s to %s: %d bytes, %s, all checked.\n",
				b.Created.Format("2006-01-02 15:04:05 MST"), dir, b.Bytes, count(b.Records, "log record"))
			return nil
		})
	}
	return c
}

// openBackup calls use with the backup's stream, in whatever form it is there.
func openBackup(c *cobra.Command, from string, use func(io.Reader) error) error {
	if from == "-" {
		return use(c.InOrStdin())
	}
	info, err := os.Stat(from)
	if err != nil {
		return exit.With(exit.NoInput, fmt.Errorf("the backup: %w", err))
	}
	if !info.IsDir() {
		f, err := os.Open(from)
		if err != nil {
			return fmt.Errorf("the backup: %w", err)
		}
		defer f.Close()
		return use(f)
	}
	dir, err := engine.OpenOffline(nil, from)
	if err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	if err := dir.Lock(); errors.Is(err, engine.ErrLocked) {
		return err
	}
	defer dir.Close() // read only, if it is no directory of ours to write to
	return pipeBackup(c, dir, use)
}
