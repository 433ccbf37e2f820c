package engine

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// dataVersion is the version of the data directory's layout (W1).
const dataVersion = "1"

// DataVersion is the version of the data directory that is read and written.
const DataVersion = dataVersion

// open locks the directory, opens index and log, and replays what the index had
// not made durable.
func (e *Engine) open() error {
	w := newStopwatch()
	if err := e.openDir(); err != nil {
		return err
	}
	if err := e.removeBackupTmp(); err != nil {
		return err
	}
	e.space.notify = e.notify
	if err := e.space.init(&e.opts, e.stop); err != nil {
		return err
	}
	e.opts.tell("opening the index", 0, 0)
	// Before the index is opened, which Pebble notes on the disk: what a later version
	// wrote is left as it is.
	if err := wal.CheckVersions(e.opts.FS, e.path("log")); err != nil {
		return fmt.Errorf("%w (%w)", err, ErrVersion)
	}
	if err := e.openIndex(); err != nil {
		return err
	}
	index := w.lap()
	if err := e.openLog(); err != nil {
		return err
	}
	log := w.lap()
	replayed, err := e.replay()
	if err != nil {
		return err
	}
	replay := w.lap()
	e.opts.tell("loading definitions and lanes", 0, 0)
	if err := e.users.load(e.idx); err != nil {
		return err
	}
	if err := e.groups.load(e.idx); err != nil {
		return err
	}
	if err := e.queues.load(e.idx); err != nil {
		return fmt.Errorf("load queues: %w", err)
	}
	if err := e.pulls.load(e.idx); err != nil {
		return fmt.Errorf("load pull queues: %w", err)
	}
	if err := e.replays.load(e.idx, e.users.set.Load()); err != nil {
		return err
	}
	if err := e.checkClock(); err != nil {
		return err
	}
	lanes, err := e.startCore()
	if err != nil {
		return err
	}
	e.opts.Logger.Info("engine: opened", "replayed_bytes", replayed, "lanes", lanes,
		"index", index, "log", log, "replay", replay, "rest", w.lap())
	return nil
}

// startCore makes the core and returns the number of lanes it starts with.
func (e *Engine) startCore() (lanes int, err error) {
	e.core = newCore(&e.opts, e.wallMillis())
	e.core.committed = uint64(e.log.Durable().LSN)
	if e.log.First() != e.log.Durable().LSN { // something may have been drawn that nobody remembers
		e.core.flows.began = e.core.now
	}
	err = e.idx.Queues(func(q *index.Queue) error {
		e.core.recoverQueue(q)
		return nil
	})
	if err == nil {
		err = e.idx.Flows(func(f *index.Flow) error {
			e.core.recoverFlow(f)
			return nil
		})
	}
	if err == nil {
		err = e.idx.PullQueues(func(q *index.PullQueue) error {
			e.core.recoverPull(q)
			return nil
		})
	}
	if err != nil {
		return 0, err
	}
	err = e.idx.Lanes(func(l index.Lane) error {
		lanes++
		e.core.recover(l)
		return nil
	})
	if err == nil {
		err = e.idx.Schedules(func(s *index.Schedule) error {
			e.core.recoverSchedule(s)
			return nil
		})
	}
	return lanes, err
}

// stopwatch measures one step after the other.
type stopwatch struct{ since time.Time }

func newStopwatch() *stopwatch { return &stopwatch{time.Now()} }

// lap returns the time since the last call, for people.
func (w *stopwatch) lap() string {
	d := time.Since(w.since)
	w.since = w.since.Add(d)
	return d.Round(time.Millisecond).String()
}

func (e *Engine) path(name string) string { return e.opts.FS.PathJoin(e.opts.Dir, name) }

func (e *Engine) openDir() error {
	fs := e.opts.FS
	if err := makeDir(fs, e.opts.Dir); err != nil {
		return err
	}
	if err := checkOurs(fs, e.opts.Dir); err != nil {
		return err
	}
	lock, err := lockDir(fs, e.opts.Dir)
	if err != nil {
		return err
	}
	e.lock = lock
	return e.checkVersion()
}

// lockDir keeps other processes out of a data directory.
func lockDir(fs vfs.FS, dir string) (io.Closer, error) {
	lock, err := fs.Lock(fs.PathJoin(dir, "LOCK"))
	switch {
	case err == nil:
		return lock, nil
	case oserror.IsPermission(err):
		return nil, fmt.Errorf("data directory %s cannot be written: %w: give it to the user that the server runs as (chown -R), or name another with --data", dir, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EMFILE):
		return nil, fmt.Errorf("data directory %s cannot be written: %w", dir, err)
	}
	return nil, fmt.Errorf("%w: %s: stop it, or name another directory with --data (%v)", ErrLocked, dir, err)
}

// beforeVersion are the names that a directory of ours may hold when a crash came
// before its VERSION was written.
var beforeVersion = []string{"LOCK", "VERSION.tmp", "credentials.toml", "credentials.toml.tmp"}

// checkOurs refuses a directory that holds something else than our data: a
// mistyped --data must not scatter files over somebody's home.
func checkOurs(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is a file: it %w; name a directory with --data", dir, ErrNotData)
	case oserror.IsPermission(err):
		return fmt.Errorf("data directory %s cannot be read: %w: give it to the user that the server runs as (chown -R), or name another with --data", dir, err)
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	}
	if slices.Contains(names, "VERSION") {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(beforeVersion, name) {
			return fmt.Errorf("directory %s holds %q and no VERSION: it %w; name an empty or a new one with --data", dir, name, ErrNotData)
		}
	}
	return nil
}

// makeDir creates a directory, and those above it, and makes their entries
// durable.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if parent := fs.PathDir(dir); parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	err := fs.MkdirAll(dir, 0o700)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("create data directory: %w: a file stands where a directory belongs; name another with --data", err)
	case oserror.IsPermission(err):
		return fmt.Errorf("create data directory: %w: make it for the user that the server runs as (install -d -m 700 -o USER %s), or name another with --data", err, dir)
	case err != nil:
		return fmt.Errorf("create data directory: %w", err)
	}
	return syncDir(fs, fs.PathDir(dir))
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkVersion reads VERSION, or writes it in a directory that has none yet.
func (e *Engine) checkVersion() error {
	fs, name := e.opts.FS, e.path("VERSION")
	b, err := readFile(fs, name)
	if oserror.IsNotExist(err) || err == nil && len(b) == 0 {
		return writeFile(fs, name, dataVersion+"\n")
	}
	if err != nil {
		return err
	}
	return checkLayout(e.opts.Dir, string(b))
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 64)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// writeFile writes a small file so that a crash leaves all of it or none.
func writeFile(fs vfs.FS, name, content string) error {
	tmp := name + ".tmp"
	f, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", tmp, err)
	}
	_, err = f.Write([]byte(content))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := fs.Rename(tmp, name); err != nil {
		return fmt.Errorf("rename %s: %w", tmp, err)
	}
	return syncDir(fs, fs.PathDir(name))
}

// oldIndex is where an index goes that is to be removed: a crash half-way must not
// leave a damaged one in its place.
const oldIndex = "index.old"

// openIndex opens the index. One that an earlier version wrote is removed and, since
// the log is the database, replay makes a new one; keeping it would double what it
// takes on disk, for nobody. One of a later version is refused: the operator who went
// back by mistake keeps history.
func (e *Engine) openIndex() error {
	fs := e.opts.FS
	if err := fs.RemoveAll(e.path(oldIndex)); err != nil {
		return fmt.Errorf("remove %s: %w", e.path(oldIndex), err)
	}
	err := e.tryIndex()
	le, ok := errors.AsType[*index.LayoutError](err)
	if !ok || !le.Older() {
		return e.indexRefused(err)
	}
	e.opts.Logger.Warn("engine: the index was written by an earlier version and is rebuilt from the log; "+
		"history and deduplication ids that are older than the log are lost", "layout", le.Found)
	if err := fs.Rename(e.path("index"), e.path(oldIndex)); err != nil {
		return fmt.Errorf("set the index aside: %w", err)
	}
	if err := syncDir(fs, e.opts.Dir); err != nil {
		return err
	}
	if err := fs.RemoveAll(e.path(oldIndex)); err != nil {
		return fmt.Errorf("remove %s: %w", e.path(oldIndex), err)
	}
	return e.tryIndex()
}

// indexRefused says what an index that does not open means, and what to do about it. What
// is no failure of the disk, and of no other version, is damage: the disk returned
// something else than it was given.
func (e *Engine) indexRefused(err error) error {
	_, layout := errors.AsType[*index.LayoutError](err)
	_, format := errors.AsType[*index.FormatError](err)
	_, disk := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil:
		return nil
	case layout || format:
		return fmt.Errorf("%w (%w)", err, ErrVersion)
	case disk && !oserror.IsNotExist(err):
		return err
	}
	return fmt.Errorf("%w: %w: remove %s, and the start makes it again from the log; history and deduplication ids that are older than the log are lost",
		err, ErrIndexDamaged, e.path("index"))
}

func (e *Engine) tryIndex() error {
	idx, err := index.Open(index.Options{
		FS: roomFS{e.opts.FS, &e.space}, Dir: e.path("index"), Memtable: e.opts.MemtableSize, Cache: e.opts.CacheSize,
		DedupWindow: e.opts.DedupWindow, RaiseEvery: e.opts.raiseEvery, Quiet: e.opts.manual, NoHistory: e.opts.noHistory, OnFatal: e.fatal, Logger: e.opts.Logger,
	})
	if err != nil {
		return err
	}
	e.idx = idx
	return nil
}

const checkingLog = "checking the log"

func (e *Engine) openLog() error {
	start := e.idx.Start()
	e.opts.tell(checkingLog, 0, 0)
	l, err := wal.Open(e.walOptions(start))
	if err != nil {
		return err
	}
	e.log = l
	return checkLog(&start, l)
}

func (e *Engine) walOptions(start index.Position) wal.Options {
	return wal.Options{
		FS: logFS{e.opts.FS, &e.space}, Dir: e.path("log"), SegmentSize: e.opts.SegmentSize, MaxRecord: e.limits.Load().recordMax(),
		SyncInterval: e.opts.FsyncInterval, Rand: e.opts.Rand, Logger: e.opts.Logger,
		Durable: wal.Position{LSN: wal.LSN(start.LSN), Chain: start.Chain}, ReplayChecks: true,
		Manual: e.opts.manual, StallAfter: e.opts.stallAfter,
		OnCommit: e.onCommit, OnPoison: e.fatal,
		Progress: func(done, total int64) { e.opts.tell(checkingLog, done, total) },
	}
}

// checkLog refuses an index and a log that do not belong together (X1).
func checkLog(start *index.Position, l *wal.Log) error {
	if start.LSN == 0 || start.Log == [16]byte(l.ID()) {
		return nil
	}
	return errors.New("the index belongs to another log: remove the index directory, it is rebuilt from the log")
}

// replay brings the index up to the log: through the same Applier.Record that
// live traffic takes. It returns the bytes of log that this took.
func (e *Engine) replay() (bytes int64, err error) {
	a, err := e.idx.NewApplier()
	if err != nil {
		return 0, err
	}
	e.applier.a = a
	gaps := false
	if err := a.Begin(uint64(e.log.First())); err != nil {
		return 0, fmt.Errorf("replay the log: %w", err)
	}
	start := e.idx.Start().LSN
	e.flusher.checkpoint.Store(start)
	p := replayProgress{e: e, total: e.log.Ahead(wal.LSN(start))}
	p.tell()
	err = e.log.Replay(wal.LSN(start), func(g *wal.Group) error {
		if start == 0 {
			start = uint64(g.Start())
			e.flusher.checkpoint.Store(start)
		}
		gaps = gaps || g.GivenUp()
		if err := applyGroup(a, e.log.ID(), g); err != nil {
			return err
		}
		bytes += int64(g.Bytes())
		p.add(int64(g.End().LSN - g.Start()))
		if !a.Full() {
			return nil
		}
		return a.Flush()
	})
	if errors.Is(err, record.ErrUnknown) {
		return bytes, fmt.Errorf("replay the log: %w (%w): start the version that wrote it", err, ErrVersion)
	}
	if err != nil {
		return bytes, fmt.Errorf("replay the log: %w", err)
	}
	end := e.log.Durable()
	if start == 0 {
		e.flusher.checkpoint.Store(uint64(end.LSN))
	}
	// The index is now as far as the log, also where that is only its beginning:
	// a read that waits for everything durable (X5) must not wait for the first record.
	a.EndGroup(position(e.log.ID(), end))
	a.ExpireFlows(e.wallMillis())
	if err := errors.Join(a.Replayed(), a.Forget(uint64(e.log.First()))); err != nil {
		return bytes, fmt.Errorf("replay the log: %w", err)
	}
	if err := a.Flush(); err != nil {
		return bytes, err
	}
	if gaps {
		e.opts.tell("counting what is pending", 0, 0)
		if err := a.Recount(); err != nil {
			return bytes, err
		}
	}
	return bytes, e.readCheckpoint()
}

// tellBytes is how much log is replayed between two reports of progress.
const tellBytes = 1 << 20

// replayProgress tells Options.Progress how far the replay has come.
type replayProgress struct {
	e                 *Engine
	done, total, told int64
}

func (p *replayProgress) add(n int64) {
	if p.done += n; p.done-p.told >= tellBytes {
		p.tell()
	}
}

func (p *replayProgress) tell() {
	p.told = p.done
	p.e.opts.tell("replaying the log", p.done, p.total)
}

func position(log wal.ID, p wal.Position) index.Position {
	return index.Position{Log: log, LSN: uint64(p.LSN), Chain: p.Chain}
}

// applyGroup applies one committed group.
func applyGroup(a *index.Applier, log wal.ID, g *wal.Group) error {
	err := g.Each(func(lsn wal.LSN, p []byte) error { return a.Record(uint64(lsn), p) })
	if err != nil {
		return err
	}
	a.EndGroup(position(log, g.End()))
	return nil
}
