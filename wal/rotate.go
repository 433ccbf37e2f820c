package wal

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// begin makes seg the last segment (W3): the one before is synced to its end, a
// spare gets the header that says where that is, and only when header, name and
// directory entry are on disk is the first group written. So whoever finds a
// segment knows that the one before is complete. Holds turn.
func (l *Log) begin(seg *segment) error {
	outer := l.enter(time.Now())
	defer l.leave(outer)
	if err := l.syncTail(); err != nil {
		return err
	}
	sp, err := l.takeSpare()
	if err != nil {
		return err
	}
	t := &l.tail
	seg.cut, seg.prev, seg.floor = t.end, t.seg.first, l.floor()
	if err := l.install(sp, seg); err != nil {
		_ = sp.file.Close() // the log is about to be poisoned
		return err
	}
	// Everything in the old segment is synced: a close error says nothing new.
	_ = t.file.Close()
	t.file, t.seg = sp.file, seg
	t.end.LSN, t.synced = seg.first, seg.first
	t.markLags = false // the header says that all before it is synced
	l.counters.rotations.Add(1)
	l.leaveBelow(seg.floor)
	return nil
}

// floor returns what the next header is to say.
func (l *Log) floor() LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.floor
}

// takeSpare returns a spare for the oldest segment that the head has been moved
// to, as soon as there is one; in Manual mode it makes one if need be.
func (l *Log) takeSpare() (*spare, error) {
	for {
		if sp := l.takePromised(); sp != nil {
			return sp, nil
		}
		if !l.opts.Manual {
			if err := l.spares.await(); err != nil {
				return nil, err
			}
		} else if _, err := l.spares.step(nil); err != nil {
			return nil, err
		}
	}
}

// takePromised takes a spare out of the pool, if there is one, and off what was
// promised, in one step: nobody sees fewer spares left than there are.
func (l *Log) takePromised() *spare {
	l.mu.Lock()
	defer l.mu.Unlock()
	sp := l.spares.tryTake()
	if sp != nil {
		l.mu.promised--
		l.mu.space.Broadcast()
	}
	return sp
}

// prepareSpare does the maker's work in Manual mode, where no goroutine does. As
// there, a full disk is no error until a spare is needed. Holds turn.
func (l *Log) prepareSpare() error {
	if !l.opts.Manual {
		return nil
	}
	for {
		did, err := l.spares.step(nil)
		switch {
		case noSpace(err) || err == nil && !did:
			return nil
		case err != nil:
			l.poison(err)
			return l.Err()
		}
	}
}

// install writes seg's header into the spare and gives it its name, each synced
// before the next, and adds it to the list of segments. Groups that belong below
// seg.synced must be in the file already.
func (l *Log) install(sp *spare, seg *segment) error {
	if sp.size != seg.size {
		panic(fmt.Sprintf("wal: BUG: spare %s of %d bytes for a segment of %d", sp.name, sp.size, seg.size))
	}
	if err := writeHeader(sp.file, &seg.segmentHeader); err != nil {
		return fmt.Errorf("write the header of segment %s: %w", seg.name(), err)
	}
	fs := l.opts.FS
	from, to := fs.PathJoin(l.opts.Dir, sp.name), fs.PathJoin(l.opts.Dir, seg.name())
	if err := fs.Rename(from, to); err != nil {
		return fmt.Errorf("rename %s to %s: %w", sp.name, seg.name(), err)
	}
	if err := syncDir(fs, l.opts.Dir); err != nil {
		return err
	}
	list := l.segments.Load().with(seg)
	l.segments.Store(&list)
	return nil
}

// writeHeader writes and syncs. Sync, not SyncData: an adopted spare may owe
// the disk its size.
func writeHeader(f vfs.File, h *segmentHeader) error {
	page := make([]byte, segmentHeaderSize)
	h.encode(page)
	if _, err := f.WriteAt(page, 0); err != nil {
		return err
	}
	return f.Sync()
}
