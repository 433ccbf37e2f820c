package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// A filler stands in a record's place where a repair gave up what stood there:
//
//	offset  size  field
//	     0     4  fillerBit, and the number of bytes behind these eight
//	     4     4  balance: zero, or what makes the group's chained checksum come out as it was
//	     8     n  zeros
//
// The bit makes the length of a record impossible, so whoever reads the address
// of a record that was there hears that it is damaged. Readers of groups step
// over it, and it is not among the records that a group header counts. The
// group's chained checksum covers it.
//
// The balance is why a repair changes one group and nothing behind it: not the
// next group's checksum, not the next segment's header, not the position that the
// index holds.
const fillerBit = 1 << 31

// putFiller makes area, at least a record's header and a multiple of recordAlign
// long, one filler.
func putFiller(area []byte) {
	clear(area)
	binary.LittleEndian.PutUint32(area, fillerBit|uint32(len(area)-recordHeaderSize))
}

// fillerSize returns the room that the filler at the start of area takes; zero
// if none stands there.
func fillerSize(area []byte) int {
	if len(area) < recordHeaderSize {
		return 0
	}
	n := binary.LittleEndian.Uint32(area)
	size := int64(n&^fillerBit) + recordHeaderSize
	if n&fillerBit == 0 || size%recordAlign != 0 || size > int64(len(area)) {
		return 0
	}
	return int(size)
}

// GivenUp reports whether a repair gave up records of this group: a reader that
// counts may have missed some.
func (g *Group) GivenUp() bool {
	for area := g.buf[groupHeaderSize:g.n]; len(area) > 0; {
		if fillerSize(area) > 0 {
			return true
		}
		_, size, err := nextRecord(area)
		if err != nil {
			return false // a group that came this far was verified
		}
		area = area[size:]
	}
	return false
}

// balance sets the four bytes at p[at:] so that the checksum of p, continued
// from before, is want.
func balance(p []byte, at int, before, want uint32) {
	crc := crc32.Update(before, castagnoli, p[:at])
	clear(p[at : at+4])
	back := unwindCRC(want, p[at:])
	binary.LittleEndian.PutUint32(p[at:], ^crc^^back)
}

// unwindCRC returns the checksum that, continued over p, gives crc.
func unwindCRC(crc uint32, p []byte) uint32 {
	crc = ^crc
	for i := len(p) - 1; i >= 0; i-- {
		index := castagnoliTop[crc>>24]
		crc = (crc^castagnoli[index])<<8 | uint32(index^p[i])
	}
	return ^crc
}

// castagnoliTop finds an entry of the table by its top byte: each value is there
// once, which is what makes a CRC run backwards.
var castagnoliTop = func() (top [256]byte) {
	for i, v := range castagnoli {
		top[v>>24] = byte(i)
	}
	return top
}()

// identityOf makes an identity with the given seed from fresh chance in id: a
// segment whose header was lost keeps its checksums that way.
func identityOf(id identity, seed uint32) identity {
	balance(id[:], len(id)-4, 0, seed)
	return id
}

// seedOf returns the seed under which src, the first bytes of a group, is a group
// header of the address lsn: the checksum is the only one of its fields that
// knows the seed. It proves nothing by itself.
func seedOf(src []byte, lsn LSN) (seed uint32, ok bool) {
	le := binary.LittleEndian
	if len(src) < groupHeaderSize || le.Uint32(src) != groupMagic || LSN(le.Uint64(src[16:])) != lsn {
		return 0, false
	}
	return unwindCRC(le.Uint32(src[44:]), src[:44]), true
}
