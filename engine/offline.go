package engine

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/wal"
)

// Offline is a data directory as the tools see it: without a server of its own.
// Another process may run one there, unless Lock says otherwise.
type Offline struct {
	fs   vfs.FS
	dir  string
	lock io.Closer
}

// OpenOffline checks that dir is a data directory of a version that this program
// reads. Nothing in it is changed. A nil fs is the machine's.
func OpenOffline(fs vfs.FS, dir string) (*Offline, error) {
	if fs == nil {
		fs = vfs.Default
	}
	o := &Offline{fs: fs, dir: dir}
	b, err := readFile(fs, o.path("VERSION"))
	switch {
	case oserror.IsPermission(err):
		return nil, fmt.Errorf("data directory %s: %w: run this as the user that the server runs as", dir, err)
	case oserror.IsNotExist(err):
		return nil, fmt.Errorf("%s %w: it holds no VERSION; name the directory that the server was started with (--data DIR)", dir, ErrNotData)
	case err != nil:
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return o, checkLayout(dir, string(b))
}

// checkLayout refuses the layout of another version (W1).
func checkLayout(dir, version string) error {
	if got := strings.TrimSpace(version); got != dataVersion {
		return fmt.Errorf("data directory %s has layout version %q, this server reads %q: %w: use a server of that version", dir, got, dataVersion, ErrVersion)
	}
	return nil
}

// CheckDir tells what a server would say to dir before it opens it: nil of a data directory of this
// version, and of one that is empty or missing. Nothing is changed. A nil fs is the machine's.
func CheckDir(fs vfs.FS, dir string) error {
	if fs == nil {
		fs = vfs.Default
	}
	if _, err := fs.Stat(dir); oserror.IsNotExist(err) {
		return nil
	}
	if err := checkOurs(fs, dir); err != nil {
		return err
	}
	b, err := readFile(fs, fs.PathJoin(dir, "VERSION"))
	if oserror.IsNotExist(err) || err == nil && len(b) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	return checkLayout(dir, string(b))
}

func (o *Offline) path(name string) string { return o.fs.PathJoin(o.dir, name) }

// Lock keeps servers out until Close. It fails with ErrLocked if one is in.
func (o *Offline) Lock() error {
	lock, err := lockDir(o.fs, o.dir)
	o.lock = lock
	return err
}

// Close gives up the lock, if there is one.
func (o *Offline) Close() error {
	if o.lock == nil {
		return nil
	}
	return o.lock.Close()
}

// inspect returns what the wal's tools need to know. The index is looked at for
// its position, which tells more about what the log must hold; err says why that
// is not known. A running server keeps it to itself.
func (o *Offline) inspect() (opts wal.InspectOptions, err error) {
	opts = wal.InspectOptions{FS: o.fs, Dir: o.path("log"), Describe: DescribeDamaged}
	pos, err := index.ReadPosition(o.fs, o.path("index"))
	if errors.Is(err, syscall.EAGAIN) {
		err = errIndexInUse
	}
	if err == nil && pos.LSN != 0 {
		opts.Durable, opts.Log = wal.Position{LSN: wal.LSN(pos.LSN), Chain: pos.Chain}, pos.Log
	}
	return opts, err
}

var errIndexInUse = errors.New("a running server keeps it to itself")

// Verify checks the whole log (wal.Verify). The second error says why the index's
// position was not taken into account; nil: it was, or there is no index.
func (o *Offline) Verify() (rep *wal.Report, unknown, err error) {
	opts, unknown := o.inspect()
	if rep, err = wal.Verify(opts); err != nil {
		return nil, nil, err
	}
	if opts.Durable.LSN != 0 && !rep.IndexFits {
		unknown = errors.New("its position is no place in this log: it belongs to another log, or to another time of this one")
	}
	return rep, unknown, nil
}

// Dump lists the log from the address from on (wal.Dump).
func (o *Offline) Dump(from wal.LSN, fn func(*wal.Dumped) error) error {
	opts, _ := o.inspect()
	return wal.Dump(opts, from, fn)
}

// Repaired is what Repair found and did.
type Repaired struct {
	*wal.Report
	// Aside is where the files are that were changed, as they were; "" if none was.
	Aside string
	// Index says why the index was moved there, to be rebuilt by the next start; ""
	// if it was left in its place.
	Index string
}

// Repair makes a damaged log one that a server can open (wal.Repair), and moves an
// index away that does not go with it. Lock must have been called.
func (o *Offline) Repair() (*Repaired, error) {
	if o.lock == nil {
		return nil, errors.New("engine: BUG: Repair without Lock")
	}
	opts, unknown := o.inspect()
	if unknown == errIndexInUse {
		return nil, fmt.Errorf("%w: %s: stop it first", ErrLocked, o.dir)
	}
	aside := o.path(o.fs.PathJoin("damaged", time.Now().UTC().Format("20060102T150405.000Z")))
	rep, err := wal.Repair(opts, aside)
	if err != nil {
		return nil, err
	}
	r := &Repaired{Report: rep}
	if len(rep.Damages) > 0 {
		r.Aside = aside
	}
	switch {
	case ofAnotherVersion(unknown):
		return r, nil // no damage: the server says what to do about it
	case unknown != nil:
		r.Index = unknown.Error()
	case opts.Durable.LSN != 0 && !rep.IndexFits:
		r.Index = "it belongs to another log, or to another time of this one"
	default:
		return r, nil
	}
	r.Aside = aside
	return r, o.moveIndex(aside)
}

// ofAnotherVersion tells an index that another version wrote from a damaged one.
func ofAnotherVersion(err error) bool {
	_, layout := errors.AsType[*index.LayoutError](err)
	_, format := errors.AsType[*index.FormatError](err)
	return layout || format
}

// moveIndex takes the index out of the server's sight. It is a view: what it held
// of messages, dead letters and configuration is in the log.
func (o *Offline) moveIndex(aside string) error {
	if err := makeDir(o.fs, aside); err != nil {
		return err
	}
	if err := o.fs.Rename(o.path("index"), o.fs.PathJoin(aside, "index")); err != nil {
		return fmt.Errorf("set the index aside: %w", err)
	}
	return errors.Join(syncDir(o.fs, aside), syncDir(o.fs, o.dir))
}
