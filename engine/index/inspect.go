package index

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// ReadPosition returns the durable position of the index in dir without changing
// anything in it. It is zero, without an error, if there is no index. A
// *LayoutError or *FormatError says that another version wrote it; any other error
// that the index is in use, or damaged.
func ReadPosition(fs vfs.FS, dir string) (Position, error) {
	names, err := fs.List(dir)
	if oserror.IsNotExist(err) || err == nil && len(names) == 0 {
		return Position{}, nil
	}
	if err != nil {
		return Position{}, err
	}
	if err := checkFormat(fs, dir); err != nil {
		return Position{}, err
	}
	o := pebbleOptions(&Options{FS: fs, Memtable: 1 << 20, Logger: slog.New(slog.DiscardHandler)}, newCompactions())
	o.ReadOnly = true
	db, err := pebble.Open(dir, o)
	if err != nil {
		return Position{}, fmt.Errorf("open index %s: %w", dir, err)
	}
	x := &Index{db: db}
	err = x.loadPosition()
	return x.start, errors.Join(err, db.Close())
}

// CopyTo makes a copy of the index, as a power cut now would leave it, in the
// directory dir, which must not exist. Files may be hard links to the index's own,
// which never change: what leaves the machine is to be copied from there, and dir
// removed. The applier may go on meanwhile.
func (x *Index) CopyTo(dir string) error {
	leave, err := x.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := x.db.Checkpoint(dir); err != nil {
		return fmt.Errorf("copy the index: %w", err)
	}
	return nil
}

// Pending calls fn with every pending message in order of publishing, as of one
// moment.
func (x *Index) Pending(fn func(*record.Row) error) error {
	return x.scan([]byte{kindMessage}, []byte{kindMessage + 1}, func(_, v []byte) error {
		var r record.Row
		if err := decodeRow(v, &r); err != nil {
			return err
		}
		return fn(&r)
	})
}

// PendingFrom calls fn with the rows of all pending messages, by seq, from one seq on,
// until it returns false.
func (x *Index) PendingFrom(seq uint64, fn func(*record.Row) (bool, error)) error {
	return x.walk(messageKey(nil, seq), []byte{kindMessage + 1}, false, func(_, v []byte) (bool, error) {
		var r record.Row
		if err := decodeRow(v, &r); err != nil {
			return false, err
		}
		return fn(&r)
	})
}

// AllDead calls fn with every dead letter of every user, in order of users and
// then of time, as of one moment.
func (x *Index) AllDead(fn func(*Dead) error) error {
	return x.scan([]byte{kindDead}, []byte{kindDead + 1}, func(_, v []byte) error {
		var d Dead
		if err := decodeDead(v, &d); err != nil {
			return err
		}
		return fn(&d)
	})
}
