package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Read returns the payload of the record at lsn. The hint n is the payload's
// length as the caller remembers it: with the right one, or a larger one, the
// record is read at once, else (zero, say) in two reads. buf is grown as needed,
// for a damaged length to no more than Options.MaxRecord or n; the payload aliases
// it. The checksum is verified.
//
// Read fails with ErrNotFound for an address outside the durable log, with a
// *CorruptionError where no intact record stands, and otherwise with what
// reading the file failed with. It works on after a poison, not after Close.
func (l *Log) Read(lsn LSN, n int, buf []byte) (payload []byte, err error) {
	seg, avail := l.locate(lsn)
	if avail < recordHeaderSize {
		return nil, fmt.Errorf("%w: %v", ErrNotFound, lsn)
	}
	r, err := l.readers.acquire(seg)
	if err != nil {
		return nil, err
	}
	defer l.readers.release(r)
	payload, err = readRecord(r, seg, lsn, recordHeaderSize+min(max(n, 0), avail-recordHeaderSize), avail, int(l.maxRecord.Load()), buf)
	if reason, ok := errors.AsType[damage](err); ok {
		return nil, seg.corrupt(lsn, reason)
	} else if err != nil {
		return nil, fmt.Errorf("wal: read record %v in segment %s: %w", lsn, seg.name(), err)
	}
	return payload, nil
}

// locate returns the segment that holds lsn and how many bytes of it follow.
func (l *Log) locate(lsn LSN) (*segment, int) {
	head := LSN(l.readable.Load()) // before the list, which then reaches as far
	list := *l.segments.Load()
	i := list.find(lsn)
	if i < 0 || lsn%recordAlign != 0 {
		return nil, 0
	}
	if end := list.end(i, head); lsn < end {
		return list[i], int(end - lsn)
	}
	return nil, 0
}

// readRecord reads want bytes at lsn, and the rest if that is not all, of avail
// bytes there are. A length above usual is checked before room is made for it: it
// is damage, or stems from a run with a larger Options.MaxRecord.
func readRecord(r *reader, seg *segment, lsn LSN, want, avail, usual int, buf []byte) ([]byte, error) {
	if cap(buf) < want {
		buf = make([]byte, want)
	}
	buf = buf[:want]
	if err := readFull(r.file, buf, seg.offset(lsn)); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(buf)&fillerBit != 0 {
		return nil, errGivenUp
	}
	size := int64(binary.LittleEndian.Uint32(buf)) + recordHeaderSize
	if size > int64(avail) {
		return nil, damagef("no record stands here: its length would be %d", size-recordHeaderSize)
	}
	if int(size) > want {
		if int(size) > recordHeaderSize+usual {
			if err := checkLong(r, seg, lsn, size-recordHeaderSize, binary.LittleEndian.Uint32(buf[4:])); err != nil {
				return nil, err
			}
		}
		if int64(cap(buf)) < size {
			buf = append(make([]byte, 0, size), buf...)
		}
		buf = buf[:size]
		if err := readFull(r.file, buf[want:], seg.offset(lsn)+int64(want)); err != nil {
			return nil, err
		}
	}
	payload := buf[recordHeaderSize:size]
	if binary.LittleEndian.Uint32(buf[4:]) != recordCRC(seg.seed, lsn, payload) {
		return nil, errRecordChecksum
	}
	return payload, nil
}

const errRecordChecksum = damage("the record's checksum does not match: its content is not what was written")

// errGivenUp: a filler begins here. The middle of one reads as a bad checksum.
const errGivenUp = damage("no record stands here any more: a repair gave it up, since it was damaged")

// checkLong computes the checksum of a payload of n bytes piece by piece.
func checkLong(r *reader, seg *segment, lsn LSN, n int64, want uint32) error {
	piece := make([]byte, min(n, 64<<10))
	crc := crcUint64(crcUint64(seg.seed, uint64(lsn)), uint64(n))
	for off := seg.offset(lsn) + recordHeaderSize; n > 0; {
		piece = piece[:min(n, int64(len(piece)))]
		if err := readFull(r.file, piece, off); err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, piece)
		off += int64(len(piece))
		n -= int64(len(piece))
	}
	if crc != want {
		return errRecordChecksum
	}
	return nil
}
