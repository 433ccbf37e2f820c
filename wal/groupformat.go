package wal

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	groupMagic      = 0x47574d54 // "TMWG"
	groupVersion    = 1
	groupHeaderSize = 48

	recordHeaderSize = 8
	recordAlign      = 8
)

// groupHeader stands at a 512-aligned address and describes one group: what
// was written with one write and acknowledged as one.
//
//	offset  size  field
//	     0     4  magic "TMWG"
//	     4     1  version of this header
//	     5     1  flags, zero
//	     6     2  zero
//	     8     4  bytes of the record area behind this header
//	    12     4  records
//	    16     8  own LSN
//	    24     8  mark
//	    32     4  chained checksum before the group
//	    36     4  chained checksum behind it: CRC-32C of the record area, seeded with the one before
//	    40     4  zero
//	    44     4  CRC-32C of the bytes before, seeded with the segment's identity
type groupHeader struct {
	bytes     uint32 // record area, without the padding to 512
	count     uint32
	lsn       LSN
	mark      LSN // end of the contiguous durable prefix when the group was written (W5)
	prevChain uint32
	chain     uint32
}

// end is where the next group may start.
func (h *groupHeader) end() LSN {
	return h.lsn + alignUp(groupHeaderSize+LSN(h.bytes), groupAlign)
}

// encode fills the first groupHeaderSize bytes of dst.
func (h *groupHeader) encode(dst []byte, seed uint32) {
	le := binary.LittleEndian
	le.PutUint32(dst[0:], groupMagic)
	le.PutUint32(dst[4:], groupVersion)
	le.PutUint32(dst[8:], h.bytes)
	le.PutUint32(dst[12:], h.count)
	le.PutUint64(dst[16:], uint64(h.lsn))
	le.PutUint64(dst[24:], uint64(h.mark))
	le.PutUint32(dst[32:], h.prevChain)
	le.PutUint32(dst[36:], h.chain)
	le.PutUint32(dst[40:], 0)
	le.PutUint32(dst[44:], crc32.Update(seed, castagnoli, dst[:44]))
}

// decodeGroupHeader reads the header that should stand at lsn, in a segment of
// the given identity seed whose data ends at limit. The error is a damage.
func decodeGroupHeader(src []byte, lsn, limit LSN, seed uint32) (groupHeader, error) {
	var h groupHeader
	if len(src) < groupHeaderSize {
		return h, damage("no room for a group header")
	}
	le := binary.LittleEndian
	if le.Uint32(src) != groupMagic {
		return h, damage("no group starts here")
	}
	if le.Uint32(src[44:]) != crc32.Update(seed, castagnoli, src[:44]) {
		return h, damage("the group header's checksum does not match")
	}
	h = groupHeader{
		bytes:     le.Uint32(src[8:]),
		count:     le.Uint32(src[12:]),
		lsn:       LSN(le.Uint64(src[16:])),
		mark:      LSN(le.Uint64(src[24:])),
		prevChain: le.Uint32(src[32:]),
		chain:     le.Uint32(src[36:]),
	}
	switch {
	case le.Uint32(src[4:]) != groupVersion || le.Uint32(src[40:]) != 0:
		return h, damage("the group header has an unknown version or flag")
	case h.lsn != lsn:
		return h, damagef("the group header belongs to %v", h.lsn)
	case h.mark > h.lsn || h.mark%groupAlign != 0:
		return h, damagef("the group header has an impossible mark %v", h.mark)
	case h.end() > limit || h.bytes%recordAlign != 0:
		return h, damagef("the group header says %d bytes, more than the segment holds", h.bytes)
	}
	return h, nil
}

// recordSize is the room a payload of n bytes takes in a group.
func recordSize(n int) int { return alignUp(recordHeaderSize+n, recordAlign) }

// recordCRC is the checksum of a record: the identity of its segment (seed),
// its address, its length, its payload.
func recordCRC(seed uint32, lsn LSN, payload []byte) uint32 {
	crc := crcUint64(seed, uint64(lsn))
	crc = crcUint64(crc, uint64(len(payload)))
	return crc32.Update(crc, castagnoli, payload)
}

// sealRecord completes a record whose payload is in place: it fills in the
// header and zeroes the padding. rec is the whole record, n the payload's
// length.
func sealRecord(rec []byte, n int, lsn LSN, seed uint32) {
	payload := rec[recordHeaderSize : recordHeaderSize+n]
	clear(rec[recordHeaderSize+n:])
	binary.LittleEndian.PutUint32(rec, uint32(n))
	binary.LittleEndian.PutUint32(rec[4:], recordCRC(seed, lsn, payload))
}

// nextRecord splits the first record off area, which starts at lsn.
func nextRecord(area []byte) (payload []byte, size int, err error) {
	if len(area) < recordHeaderSize {
		return nil, 0, damage("a record header is cut short")
	}
	n := int64(binary.LittleEndian.Uint32(area))
	if n > int64(len(area)-recordHeaderSize) {
		return nil, 0, damagef("a record says %d bytes, more than its group holds", n)
	}
	size = recordSize(int(n))
	if size > len(area) {
		return nil, 0, damage("a record's padding is cut short")
	}
	return area[recordHeaderSize : recordHeaderSize+n], size, nil
}

// eachRecord walks a record area that starts at lsn and calls fn with each
// record's address and bytes; it steps over fillers. It fails with a damage if
// the records do not fill the area exactly.
func eachRecord(area []byte, lsn LSN, fn func(lsn LSN, rec, payload []byte) error) error {
	for len(area) > 0 {
		if size := fillerSize(area); size > 0 {
			area, lsn = area[size:], lsn+LSN(size)
			continue
		}
		payload, size, err := nextRecord(area)
		if err != nil {
			return err
		}
		if err := fn(lsn, area[:size], payload); err != nil {
			return err
		}
		area, lsn = area[size:], lsn+LSN(size)
	}
	return nil
}

// verifyRecords checks every record of an area whose chained checksum is
// already known to match.
func verifyRecords(h groupHeader, area []byte, seed uint32) error {
	var count uint32
	err := eachRecord(area, h.lsn+groupHeaderSize, func(lsn LSN, rec, payload []byte) error {
		count++
		if binary.LittleEndian.Uint32(rec[4:]) != recordCRC(seed, lsn, payload) {
			return damagef("the checksum of the record at %v does not match", lsn)
		}
		return nil
	})
	if err == nil && count != h.count {
		err = damagef("the group header says %d records, the group holds %d", h.count, count)
	}
	return err
}
