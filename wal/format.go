package wal

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// This file and groupformat.go are the bytes of a segment, without any I/O.
// FORMAT.md describes the same with drawings; testdata holds a golden log of
// each version. All integers are little-endian, as the machines are that we run on:
// a hex dump beside a debugger then needs no swapping, and the loads and
// stores compile to one instruction each.

const (
	segmentMagic  = "TMWALSEG"
	formatVersion = 2

	segmentHeaderSize = 4096 // one page, so that data starts on a page of its own
	groupAlign        = 512  // the smallest unit a disk writes whole
	pageSize          = 4096 // what the page cache keeps and writes, and alignment enough for a direct write
	stride            = 1 << strideBits

	minSegmentSize = 64 << 10
	maxSegmentSize = 1 << 30
)

// FormatVersion is the version of the segments that are written. Those of every version
// from 1 on are read.
const FormatVersion = formatVersion

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// identity is the random 128-bit identity of one use of a segment file. Every
// checksum in the segment is seeded with it, so that neither the file's former
// content nor a message body can pass for a record (W3, W5). It is never shown
// to anyone.
type identity [16]byte

func (id identity) seed() uint32 { return crc32.Checksum(id[:], castagnoli) }

// chainStart is the chained checksum at the start of a log. Deriving it from
// the log's ID binds every Position to its log.
func chainStart(id ID) uint32 { return crc32.Checksum(id[:], castagnoli) }

// crcUint64 continues crc over the eight little-endian bytes of v. It exists
// because crc32.Update's argument escapes to the heap, which would cost an
// allocation per record.
func crcUint64(crc uint32, v uint64) uint32 {
	crc = ^crc
	for range 8 {
		crc = castagnoli[byte(crc)^byte(v)] ^ crc>>8
		v >>= 8
	}
	return ^crc
}

// segmentHeader is the first page of a segment file.
//
//	offset  size  field
//	     0     8  magic "TMWALSEG"
//	     8     4  format version
//	    12     4  zero
//	    16     8  file size in bytes
//	    24     8  first LSN
//	    32     8  segment number
//	    40    16  log ID
//	    56    16  segment identity
//	    72     8  cut: where the previous segment ended
//	    80     4  chained checksum at the cut
//	    84     4  zero
//	    88     8  synced: everything below it was on disk when this was written
//	    96     8  first LSN of the previous segment, zero if there is none
//	   104     8  floor: everything below it was given up (version 1: zero)
//	   112  3980  zero
//	  4092     4  CRC-32C of all bytes before
//
// To change it: add fields in the zeros and raise formatVersion; the magic,
// the version and the checksum keep their places in every version, so that an
// older program can name the version it cannot read.
type segmentHeader struct {
	version  uint32
	size     int64
	first    LSN
	number   uint64
	log      ID
	identity identity
	cut      Position
	synced   LSN
	prev     LSN
	floor    LSN // the first LSN of a segment, or zero: nothing was given up yet (W10)
}

const segmentCRCOffset = segmentHeaderSize - 4

// encode fills page, which must be segmentHeaderSize bytes.
func (h *segmentHeader) encode(page []byte) {
	clear(page)
	le := binary.LittleEndian
	copy(page, segmentMagic)
	le.PutUint32(page[8:], h.version)
	le.PutUint64(page[16:], uint64(h.size))
	le.PutUint64(page[24:], uint64(h.first))
	le.PutUint64(page[32:], h.number)
	copy(page[40:], h.log[:])
	copy(page[56:], h.identity[:])
	le.PutUint64(page[72:], uint64(h.cut.LSN))
	le.PutUint32(page[80:], h.cut.Chain)
	le.PutUint64(page[88:], uint64(h.synced))
	le.PutUint64(page[96:], uint64(h.prev))
	le.PutUint64(page[104:], uint64(h.floor))
	le.PutUint32(page[segmentCRCOffset:], crc32.Checksum(page[:segmentCRCOffset], castagnoli))
}

// decodeSegmentHeader is the inverse of encode. It returns a *VersionError
// (without the segment's name) for a sound header of a later version, and a
// damage for anything else that encode would not have written.
func decodeSegmentHeader(page []byte) (segmentHeader, error) {
	var h segmentHeader
	if len(page) < segmentHeaderSize {
		return h, damagef("the segment header is cut short at %d bytes", len(page))
	}
	page = page[:segmentHeaderSize]
	le := binary.LittleEndian
	if string(page[:8]) != segmentMagic {
		return h, damage("not a segment: the magic is missing")
	}
	if le.Uint32(page[segmentCRCOffset:]) != crc32.Checksum(page[:segmentCRCOffset], castagnoli) {
		return h, damage("the segment header's checksum does not match")
	}
	if h.version = le.Uint32(page[8:]); h.version > formatVersion {
		return h, &VersionError{Found: h.version, Supported: formatVersion}
	}
	size := le.Uint64(page[16:])
	if size > math.MaxInt64 {
		return h, damagef("the segment header says a size of %d", size)
	}
	h.size = int64(size)
	h.first = LSN(le.Uint64(page[24:]))
	h.number = le.Uint64(page[32:])
	copy(h.log[:], page[40:])
	copy(h.identity[:], page[56:])
	h.cut = Position{LSN: LSN(le.Uint64(page[72:])), Chain: le.Uint32(page[80:])}
	h.synced = LSN(le.Uint64(page[88:]))
	h.prev = LSN(le.Uint64(page[96:]))
	if h.version >= 2 {
		h.floor = LSN(le.Uint64(page[104:]))
	}
	return h, h.check()
}

// check holds the header against the rules that encode's callers keep. The
// checksum has passed by now, so a failure is a bug or a forgery; still no
// arithmetic below may rely on luck.
func (h *segmentHeader) check() error {
	switch {
	case h.version == 0:
		return damage("the segment header has format version 0")
	case h.size < segmentHeaderSize+groupAlign || h.size > maxSegmentSize || h.size%segmentHeaderSize != 0:
		return damagef("the segment header says an impossible size of %d", h.size)
	case h.first.Segment() != h.number || h.number == 0 || h.first%groupAlign != 0:
		return damagef("the segment header's first LSN %v does not belong to segment %d", h.first, h.number)
	case h.cut.LSN > h.first || h.cut.LSN%groupAlign != 0:
		return damagef("the segment header cuts the previous segment at %v, beyond its own start %v", h.cut.LSN, h.first)
	case h.synced < h.first || h.synced > h.limit() || h.synced%groupAlign != 0:
		return damagef("the segment header says synced to %v, outside the segment", h.synced)
	case h.floor >= h.first && h.floor != 0 || h.floor%groupAlign != 0:
		return damagef("the segment header says that the log begins at %v, not below this segment", h.floor)
	}
	return nil
}

// limit is the first address behind the segment's data: the end of the file,
// or of the address space if that comes first.
func (h *segmentHeader) limit() LSN {
	return h.first + LSN(min(h.size-segmentHeaderSize, stride-h.first.Offset()))
}

// offset returns where in the file the address lsn lies.
func (h *segmentHeader) offset(lsn LSN) int64 {
	return segmentHeaderSize + int64(lsn-h.first)
}

func alignUp[T ~int | ~int64 | ~uint64](n, to T) T { return (n + to - 1) / to * to }
