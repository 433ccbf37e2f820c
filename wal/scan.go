package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const scanWindow = 1 << 20

// scanner reads the groups of one segment, at recovery and for Replay. It is
// used by one goroutine.
type scanner struct {
	seg  *segment
	end  LSN // read no further: the next segment's cut, or the segment's limit
	file vfs.File
	win  window
}

func openScanner(fs vfs.FS, dir string, seg *segment, end LSN) (*scanner, error) {
	f, err := fs.Open(fs.PathJoin(dir, seg.name()), vfs.SequentialReadsOption)
	if err != nil {
		return nil, fmt.Errorf("wal: open segment %s: %w", seg.name(), err)
	}
	return &scanner{seg: seg, end: end, file: f, win: window{r: f, size: seg.size}}, nil
}

func (s *scanner) close() { _ = s.file.Close() } // read only: nothing can be lost

// header returns the group header at lsn. The error is a damage, unless reading
// failed.
func (s *scanner) header(lsn LSN) (groupHeader, error) {
	if lsn >= s.end {
		return groupHeader{}, damage("the log ends here")
	}
	src, err := s.win.bytes(s.seg.offset(lsn), groupHeaderSize)
	if err != nil {
		return groupHeader{}, fmt.Errorf("wal: read segment %s: %w", s.seg.name(), err)
	}
	return decodeGroupHeader(src, lsn, s.end, s.seg.seed)
}

// group returns the group at lsn, which must follow the chained checksum given,
// and its bytes from header to padding, valid until the next call. Everything in
// it has been checked. The error is a damage, unless reading failed.
func (s *scanner) group(at Position) (groupHeader, []byte, error) {
	h, err := s.header(at.LSN)
	if err != nil {
		return h, nil, err
	}
	if h.prevChain != at.Chain {
		return h, nil, damage("the group does not follow the one before: the chained checksum differs")
	}
	data, err := s.win.bytes(s.seg.offset(at.LSN), int(h.end()-h.lsn))
	if err != nil {
		return h, nil, fmt.Errorf("wal: read segment %s: %w", s.seg.name(), err)
	}
	return h, data, verifyGroup(h, data, s.seg.seed)
}

// verifyGroup checks what stands behind a sound header.
func verifyGroup(h groupHeader, data []byte, seed uint32) error {
	area := data[groupHeaderSize : groupHeaderSize+int(h.bytes)]
	if crc32.Update(h.prevChain, castagnoli, area) != h.chain {
		return damage("the group's checksum does not match")
	}
	for _, b := range data[groupHeaderSize+len(area):] {
		if b != 0 {
			return damage("the group's padding is not zero")
		}
	}
	return verifyRecords(h, area, seed)
}

// walk calls fn with each group from the boundary at, until fn fails, the end is
// reached (nil) or no sound group follows (a damage). It returns the boundary
// reached.
func (s *scanner) walk(at Position, fn func(h groupHeader, data []byte) error) (Position, error) {
	for at.LSN < s.end {
		h, data, err := s.group(at)
		if err != nil {
			return at, err
		}
		if err := fn(h, data); err != nil {
			return at, err
		}
		at = Position{LSN: h.end(), Chain: h.chain}
	}
	return at, nil
}

// window reads a file through a buffer that holds one stretch of it.
type window struct {
	r    io.ReaderAt
	size int64 // of the file
	buf  []byte
	off  int64 // of buf in the file
}

// bytes returns n bytes at off, valid until the next call.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || off+int64(n) > w.size {
		return nil, io.ErrUnexpectedEOF
	}
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		if err := w.fill(off, n); err != nil {
			return nil, err
		}
	}
	return w.buf[off-w.off:][:n], nil
}

func (w *window) fill(off int64, n int) error {
	n = int(min(int64(max(n, scanWindow)), w.size-off))
	if cap(w.buf) < n {
		w.buf = make([]byte, n)
	}
	w.buf, w.off = w.buf[:n], off
	if err := readFull(w.r, w.buf, off); err != nil {
		w.buf = w.buf[:0]
		return err
	}
	return nil
}

// asCorruption turns a damage at lsn into a *CorruptionError and leaves other
// errors alone.
func asCorruption(seg *segment, lsn LSN, meaning string, err error) error {
	if reason, ok := errors.AsType[damage](err); ok {
		return seg.corrupt(lsn, fmt.Errorf("%s: %w", meaning, reason))
	}
	return err
}
