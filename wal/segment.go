package wal

import (
	"fmt"
	"io"
	"sort"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segment is one use of a segment file. Its header is immutable once in
// the list that readers see.
type segment struct {
	segmentHeader
	seed uint32 // of the identity

	// users is the number of reads in the middle of the file (readers).
	users atomic.Int32
}

// start is the boundary where the segment's first group stands.
func (s *segment) start() Position { return Position{LSN: s.first, Chain: s.cut.Chain} }

func (s *segment) name() string { return segmentName(s.first) }

// corrupt reports damage at lsn, which may lie outside the file if that is what
// is wrong.
func (s *segment) corrupt(lsn LSN, err error) error {
	return &CorruptionError{Segment: s.name(), Offset: s.offset(lsn), Hint: hintDamage, Err: err}
}

// newSegment chooses the identity of a segment that is still to be made. The
// cut is filled in when the segment before it is at its end.
func newSegment(rnd io.Reader, log ID, number uint64, first LSN, size int64) (*segment, error) {
	s := &segment{segmentHeader: segmentHeader{
		version: formatVersion,
		size:    size,
		first:   first,
		number:  number,
		log:     log,
		synced:  first,
	}}
	if _, err := io.ReadFull(rnd, s.identity[:]); err != nil {
		return nil, fmt.Errorf("wal: choose an identity for segment %d: %w", number, err)
	}
	s.seed = s.identity.seed()
	return s, nil
}

// segmentList is every segment of the log in order: a snapshot, never changed.
type segmentList []*segment

// with returns the list with s behind it, or in the place of the last segment
// if s starts at the same address.
func (l segmentList) with(s *segment) segmentList {
	n := len(l)
	if n > 0 && l[n-1].first == s.first {
		n--
	}
	return append(l[:n:n], s)
}

// find returns the index of the segment that holds lsn, or -1 if lsn is below
// the log. The address may lie behind that segment's end.
func (l segmentList) find(lsn LSN) int {
	return sort.Search(len(l), func(i int) bool { return l[i].first > lsn }) - 1
}

// end returns where segment i ends: at its successor's cut, or, for the last
// one, at head.
func (l segmentList) end(i int, head LSN) LSN {
	if i+1 < len(l) {
		return l[i+1].cut.LSN
	}
	return head
}

// readFull reads exactly len(p) bytes at off.
func readFull(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// syncDir makes the directory's entries durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("wal: open directory %s: %w", dir, err)
	}
	if err := d.Sync(); err != nil {
		_ = d.Close() // the sync error is the one that matters
		return fmt.Errorf("wal: sync directory %s: %w", dir, err)
	}
	return d.Close()
}
