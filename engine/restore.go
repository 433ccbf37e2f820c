package engine

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/wal"
)

// Restored says what a restore has put on disk.
type Restored struct {
	Created time.Time // of the backup
	Records int       // in the log
	Bytes   int64     // of files
	Index   bool      // the backup had one; else the next start builds it
}

// Restore makes the empty or missing directory dir a data directory from the
// backup in r (W11). Everything is on disk and was checked when it returns: every
// checksum of the log, that it ends where the backup says, and that the index goes
// with it. VERSION is written last. On an error nothing of it is left.
func Restore(fs vfs.FS, dir string, r io.Reader) (done *Restored, err error) {
	if fs == nil {
		fs = vfs.Default
	}
	s := &restore{fs: fs, dir: dir}
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.undo()
		}
		err = errors.Join(err, s.lock.Close())
	}()
	if err := s.unpack(tar.NewReader(r)); err != nil {
		return nil, fmt.Errorf("restore to %s: %w; nothing of it was kept", dir, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("restore to %s: %w; nothing of it was kept", dir, err)
	}
	return &s.done, writeFile(fs, s.path("VERSION"), dataVersion+"\n")
}

type restore struct {
	fs   vfs.FS
	dir  string
	made bool // the directory did not exist
	lock io.Closer
	head backupHead
	done Restored
}

func (s *restore) path(name string) string { return s.fs.PathJoin(s.dir, name) }

// begin makes sure that the directory is empty, and ours.
func (s *restore) begin() error {
	names, err := s.fs.List(s.dir)
	s.made = oserror.IsNotExist(err)
	if err != nil && !s.made {
		return fmt.Errorf("restore: %w", err)
	}
	for _, name := range names {
		if name != "LOCK" && name != "lost+found" {
			return fmt.Errorf("directory %s holds %q: name an empty or a new one", s.dir, name)
		}
	}
	if err := makeDir(s.fs, s.dir); err != nil {
		return err
	}
	s.lock, err = lockDir(s.fs, s.dir)
	return err
}

// undo removes what was written. What it cannot remove is no data directory: it
// has no VERSION.
func (s *restore) undo() {
	for _, name := range []string{"VERSION", "VERSION.tmp", "log", "index", "LOCK"} {
		_ = s.fs.RemoveAll(s.path(name))
	}
	if s.made {
		_ = s.fs.Remove(s.dir)
	}
}

// backupEntry is what a backup may hold beside BACKUP and VERSION: nothing that
// leads out of the directory.
var backupEntry = regexp.MustCompile(`^(log|index)/[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ErrNoBackup is what Restore and CheckBackup fail with when a stream is something else.
var ErrNoBackup = errors.New("this is no backup of tidemill")

// unpack writes the files. The first entry says what it is, the last one that it
// is complete.
func (s *restore) unpack(t *tar.Reader) error {
	if err := s.readHead(t); err != nil {
		return err
	}
	for _, name := range []string{"log", "index"} {
		if err := s.fs.MkdirAll(s.path(name), 0o700); err != nil {
			return err
		}
	}
	for {
		h, err := t.Next()
		if err != nil {
			return incomplete(err)
		}
		if h.Name == "VERSION" {
			break
		}
		if h.Typeflag != tar.TypeReg || !backupEntry.MatchString(h.Name) {
			return fmt.Errorf("%w: it holds %q", ErrNoBackup, h.Name)
		}
		s.done.Index = s.done.Index || strings.HasPrefix(h.Name, "index/")
		if err := s.unpackFile(h.Name, t); err != nil {
			return incomplete(err)
		}
	}
	if _, err := t.Next(); err != io.EOF {
		return incomplete(errors.Join(err, errors.New("something follows its end")))
	}
	return errors.Join(syncDir(s.fs, s.path("log")), syncDir(s.fs, s.path("index")), syncDir(s.fs, s.dir))
}

// incomplete says what the end of the stream means before the end of the backup.
func incomplete(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the backup is incomplete: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func (s *restore) readHead(t *tar.Reader) error {
	h, err := t.Next()
	if err == nil && h.Name != backupName {
		err = ErrNoBackup
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	b, err := io.ReadAll(io.LimitReader(t, 64<<10))
	if err != nil {
		return incomplete(err)
	}
	if err := json.Unmarshal(b, &s.head); err != nil {
		return fmt.Errorf("%w: %s cannot be read: %w", ErrNoBackup, backupName, err)
	}
	if s.head.Format != backupFormat {
		return fmt.Errorf("the backup has format %d, this version reads %d: use the version that wrote it", s.head.Format, backupFormat)
	}
	s.done.Created = s.head.Created
	return checkLayout(backupName, s.head.Layout)
}

// unpackFile writes and syncs one file.
func (s *restore) unpackFile(name string, r io.Reader) error {
	f, err := s.fs.Create(s.path(name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	s.done.Bytes += n
	return errors.Join(err, f.Close())
}

// check reads everything back.
func (s *restore) check() error {
	pos, err := index.ReadPosition(s.fs, s.path("index"))
	if old, ok := errors.AsType[*index.LayoutError](err); ok && old.Older() {
		s.done.Index, err = false, nil // the next start builds it anew
	}
	if err != nil {
		return fmt.Errorf("the index cannot be read: %w", err)
	}
	o := wal.InspectOptions{FS: s.fs, Dir: s.path("log"), Durable: wal.Position{LSN: wal.LSN(pos.LSN), Chain: pos.Chain}}
	rep, err := wal.Verify(o)
	if err != nil {
		return err
	}
	s.done.Records = rep.Records
	switch {
	case len(rep.Damages) > 0:
		d := &rep.Damages[0]
		return fmt.Errorf("the log is damaged in %d place(s), the first in segment %s, offset %d: %s", len(rep.Damages), d.Segment, d.Offset, d.Meaning)
	case rep.End != s.head.End || rep.EndChain != s.head.Chain:
		return fmt.Errorf("the log ends at %v, the backup says %v", rep.End, s.head.End)
	case pos.LSN != 0 && (!rep.IndexFits || pos.Log != rep.Log):
		return errors.New("the index does not go with the log")
	}
	return nil
}

// CheckBackup reads a backup to its end and says whether it is complete. It checks
// the form, not the content; Restore checks that.
func CheckBackup(r io.Reader) (*Restored, error) {
	s := &restore{fs: nullFS{vfs.NewMem()}, dir: "/"}
	if err := s.unpack(tar.NewReader(r)); err != nil {
		return nil, err
	}
	_, err := io.Copy(io.Discard, r) // what pads the tar
	return &s.done, err
}

// nullFS takes files and keeps nothing.
type nullFS struct{ vfs.FS }

func (nullFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nullFile{}, nil }

type nullFile struct{ vfs.File }

func (nullFile) Write(p []byte) (int, error) { return len(p), nil }
func (nullFile) Sync() error                 { return nil }
func (nullFile) Close() error                { return nil }
