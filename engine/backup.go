package engine

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/wal"
)

// A backup (W11) is a tar stream, in this order:
//
//	BACKUP       JSON, see backupHead: what it is and where the log ends
//	index/...    Pebble's files, as a power cut would have left them
//	log/...      the segments up to there
//	VERSION      the data directory's, and the proof that nothing is missing
//
// It holds the hashes of tokens and the signing keys, but not credentials.toml.
const (
	backupFormat = 1
	backupName   = "BACKUP"
	backupTmp    = "backup.tmp" // in the data directory while a backup runs; hard links, never what is handed out
)

// ErrBackupRunning is returned by Backup while another one runs.
var ErrBackupRunning = errors.New("a backup is running already: wait until it has ended")

type backupHead struct {
	Format  int       `json:"format"`
	Layout  string    `json:"layout"` // of the data directory
	Created time.Time `json:"created"`
	End     wal.LSN   `json:"end"` // of the log
	Chain   uint32    `json:"chain"`
}

// Backup writes a backup to w: the state at some moment after the call, with
// everything that was answered before it. Publishes and deliveries go on. One runs
// at a time. What is damaged in the log is left out, and goes into Health.
func (e *Engine) Backup(ctx context.Context, w io.Writer) error {
	if !e.backup.TryLock() {
		return ErrBackupRunning
	}
	defer e.backup.Unlock()
	if err := e.syncAnswered(); err != nil {
		return err
	}
	defer e.log.Pin()()
	tmp := e.path(backupTmp)
	defer func() { _ = e.opts.FS.RemoveAll(tmp) }() // or the next start does it
	idx, end, err := e.backupPoint(tmp)
	if err != nil {
		return err
	}
	b := newBackup(e.opts.FS, &untilClosed{ctx, e.stop, w}, e.opts.Wall())
	rep, err := b.write(idx, e.inspect(), end)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for i := range rep.Damages {
		e.noteDamage(&rep.Damages[i])
	}
	e.opts.Logger.Info("engine: backup written", slog.String("end", end.LSN.String()), slog.Int("segments", rep.Segments))
	return nil
}

// backupPoint copies the index into the directory tmp, which it makes, and returns
// where the copy is and the end of the log that goes with it: one that is not below
// the index's position, and whose floor is not above it.
func (e *Engine) backupPoint(tmp string) (idx string, end wal.Position, err error) {
	if err := e.opts.FS.RemoveAll(tmp); err != nil {
		return "", end, fmt.Errorf("remove what an earlier backup left: %w", err)
	}
	if err := e.opts.FS.MkdirAll(tmp, 0o700); err != nil {
		return "", end, fmt.Errorf("make room for the backup: %w", err)
	}
	e.reclaimer.hold.Lock()
	defer e.reclaimer.hold.Unlock()
	idx = e.opts.FS.PathJoin(tmp, "index")
	if err := e.idx.CopyTo(idx); err != nil {
		return "", end, indexError(err)
	}
	return idx, e.log.Durable(), nil
}

// inspect names this engine's log to the wal's tools.
func (e *Engine) inspect() wal.InspectOptions {
	return wal.InspectOptions{FS: e.opts.FS, Dir: e.path("log"), Describe: DescribeDamaged}
}

// untilClosed is a writer that fails once the context has ended or the engine
// stops: another process might change the files afterwards.
type untilClosed struct {
	ctx  context.Context
	stop <-chan struct{}
	w    io.Writer
}

func (u *untilClosed) Write(p []byte) (int, error) {
	select {
	case <-u.stop:
		return 0, ErrClosed
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	default:
		return u.w.Write(p)
	}
}

// Backup writes a backup of a directory in which no server runs: Lock must have
// been called, unless nobody can write there. An index that cannot be read is left
// out, since it is a view; noIndex says why.
func (o *Offline) Backup(w io.Writer) (rep *wal.Report, noIndex, err error) {
	opts, noIndex := o.inspect()
	end, err := logEnd(opts)
	if err != nil {
		return nil, nil, err
	}
	idx := o.path("index")
	if noIndex != nil || opts.Durable.LSN == 0 {
		idx = ""
	}
	rep, err = newBackup(o.fs, w, time.Now()).write(idx, opts, end)
	if err != nil {
		return nil, nil, fmt.Errorf("backup of %s: %w", o.dir, err)
	}
	return rep, noIndex, nil
}

// logEnd finds where the next start would end the log.
func logEnd(opts wal.InspectOptions) (wal.Position, error) {
	rep, err := wal.Verify(opts)
	if err != nil {
		return wal.Position{}, err
	}
	if opts.Durable.LSN != 0 && !rep.IndexFits {
		return wal.Position{}, errors.New("the index does not go with the log: run `tidemill wal repair`")
	}
	return wal.Position{LSN: rep.End, Chain: rep.EndChain}, nil
}

// backup writes the entries of one.
type backup struct {
	fs   vfs.FS
	tar  *tar.Writer
	time time.Time
}

func newBackup(fs vfs.FS, w io.Writer, now time.Time) *backup {
	return &backup{fs: fs, tar: tar.NewWriter(w), time: now.UTC().Truncate(time.Second)}
}

// write writes all of it. idx is a directory of index files, or "" for none.
func (b *backup) write(idx string, opts wal.InspectOptions, end wal.Position) (*wal.Report, error) {
	head, err := json.Marshal(backupHead{Format: backupFormat, Layout: dataVersion, Created: b.time, End: end.LSN, Chain: end.Chain})
	if err != nil {
		return nil, err
	}
	if err := b.text(backupName, string(head)+"\n"); err != nil {
		return nil, err
	}
	if err := b.index(idx); err != nil {
		return nil, err
	}
	rep, err := wal.Copy(opts, end, func(c wal.SegmentCopy) error {
		return b.entry("log/"+c.Name, c.Size, c.Write)
	})
	if err != nil {
		return nil, err
	}
	if err := b.text("VERSION", dataVersion+"\n"); err != nil {
		return nil, err
	}
	return rep, b.tar.Close()
}

func (b *backup) text(name, content string) error {
	return b.entry(name, int64(len(content)), func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	})
}

func (b *backup) entry(name string, size int64, write func(io.Writer) error) error {
	err := b.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: b.time, Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	return write(b.tar)
}

func (b *backup) index(dir string) error {
	if dir == "" {
		return nil
	}
	names, err := b.fs.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "LOCK" || strings.Contains(name, "..") {
			continue
		}
		if err := b.file("index/"+name, b.fs.PathJoin(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// file copies one file as it is.
func (b *backup) file(name, path string) error {
	f, err := b.fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return err
	}
	return b.entry(name, info.Size(), func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(f, info.Size()))
		return err
	})
}

// removeBackupTmp removes what a backup left that a crash interrupted.
func (e *Engine) removeBackupTmp() error {
	tmp := e.path(backupTmp)
	if _, err := e.opts.FS.Stat(tmp); oserror.IsNotExist(err) {
		return nil
	}
	return e.opts.FS.RemoveAll(tmp)
}
