package wal

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// strideBits is the width of a segment's address space: segment k owns the
// addresses from k<<32 up to (k+1)<<32. A segment file is far smaller; the
// unused rest of each stride is the price of an address that needs no index
// (W2).
const strideBits = 32

// LSN is the address of a byte in the log: segment number << 32 | offset. A
// record's LSN is the address of its record header, so it is enough to read
// the record back (Log.Read). LSNs grow along the log; zero is never a record.
type LSN uint64

// firstLSN is where a new log starts: segment 1, so that zero can mean "none".
const firstLSN LSN = 1 << strideBits

// Segment returns the number of the segment whose address space holds l.
func (l LSN) Segment() uint64 { return uint64(l) >> strideBits }

// Offset returns l's offset in its segment's address space.
func (l LSN) Offset() int64 { return int64(uint64(l) & (1<<strideBits - 1)) }

// String formats l as segment:offset, for messages.
func (l LSN) String() string {
	return strconv.FormatUint(l.Segment(), 10) + ":" + strconv.FormatInt(l.Offset(), 10)
}

// Position is a group boundary and the chained checksum there. The end of a
// segment and the start of the next are the same boundary with two addresses;
// either is accepted wherever a Position or a boundary goes in.
type Position struct {
	LSN   LSN
	Chain uint32
}

// ID is the identity of a whole log: random, made when the log is created,
// and kept in every segment header.
type ID [16]byte

// String returns the ID in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

const (
	segmentSuffix = ".seg"
	spareSuffix   = ".spare"
	partSuffix    = ".part" + spareSuffix // a spare in the making
	lsnDigits     = 20                    // enough for any uint64, so that names sort like LSNs
)

func segmentName(first LSN) string {
	return fmt.Sprintf("%0*d%s", lsnDigits, uint64(first), segmentSuffix)
}

// parseSegmentName is the inverse of segmentName. It accepts no other
// spelling, so one file has one name.
func parseSegmentName(name string) (LSN, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != lsnDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || segmentName(LSN(n)) != name {
		return 0, false
	}
	return LSN(n), true
}

func spareName(n uint64) string {
	return strconv.FormatUint(n, 10) + spareSuffix
}

// partName is what spare n is called until it is synced.
func partName(n uint64) string {
	return strconv.FormatUint(n, 10) + partSuffix
}

func parseSpareName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, spareSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}
