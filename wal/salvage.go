package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// Lost is what a damaged region has lost for good: one record whose checksum
// fails, or a stretch in which there is no telling them apart.
type Lost struct {
	LSN, End LSN
	// Records is how many there were; zero: unknown.
	Records int
	// What says what the record was, as far as can be told (InspectOptions.Describe).
	What string
}

// region is a stretch in which something is damaged, as found and as a repair
// would leave it.
type region struct {
	seg      *segment
	from, to LSN
	before   uint32 // the chained checksum before it
	after    uint32 // and behind it
	anchored bool   // after is known: what follows was written with it
	reason   damage
	head     *groupHeader // of the one group it is; nil: headers were lost, too

	data    []byte  // as found; after settle: the group that a repair puts here
	records []found // intact, in order
	lost    []Lost

	describe func(lsn LSN, payload []byte) string
}

// found is a record in a region: data[off:][:size], whose payload has n bytes.
type found struct{ off, size, n int }

// chainOver continues the chained checksum over the records as they were written.
func (r *region) chainOver() uint32 {
	chain := r.before
	for _, f := range r.records {
		chain = crc32.Update(chain, castagnoli, r.data[f.off:f.off+f.size])
	}
	return chain
}

// salvage finds the records of the region that are intact. Each proves itself:
// its checksum covers its address, its length, its content and the identity that
// nobody else knows. So the search may start again behind any damage, at every
// address that a record can have. An empty record is not looked for there: its
// eight bytes prove too little.
func (r *region) salvage() {
	area := r.data
	if r.head != nil {
		area = area[:groupHeaderSize+int(r.head.bytes)]
	}
	inStep := true // the last record, or filler, ended here
	for off := groupHeaderSize; off+recordHeaderSize <= len(area); {
		size, n, ok := r.recordAt(area, off)
		switch {
		case ok && (n > 0 || inStep):
			clear(area[off+recordHeaderSize+n : off+size]) // its padding, which the checksum leaves out
			r.records = append(r.records, found{off, size, n})
		case inStep && emptyFiller(area[off:]) > 0:
			size = emptyFiller(area[off:])
		default:
			off, inStep = off+recordAlign, false
			continue
		}
		off, inStep = off+size, true
	}
}

// recordAt returns the size of the intact record at area[off:] and its payload's.
func (r *region) recordAt(area []byte, off int) (size, n int, ok bool) {
	payload, size, err := nextRecord(area[off:])
	if err != nil {
		return 0, 0, false
	}
	crc := binary.LittleEndian.Uint32(area[off+4:])
	return size, len(payload), crc == recordCRC(r.seg.seed, r.from+LSN(off), payload)
}

// emptyFiller returns the size of a filler that holds nothing but zeros, which an
// earlier repair put there.
func emptyFiller(area []byte) int {
	size := fillerSize(area)
	if size == 0 || !allZero(area[recordHeaderSize:size]) {
		return 0
	}
	return size
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
