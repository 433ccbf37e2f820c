package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Read returns the payload of the record at lsn. The hint n is the payload's
// length as the caller remembers it: with the right one, or a larger one, the
// record is read at once, else (zero, say) in two reads. buf is grown as needed;
// the payload aliases it. The checksum is verified.
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
	payload, err = readRecord(r, seg, lsn, min(recordHeaderSize+max(n, 0), avail), avail, buf)
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
// bytes there are.
func readRecord(r *reader, seg *segment, lsn LSN, want, avail int, buf []byte) ([]byte, error) {
	if cap(buf) < want {
		buf = make([]byte, want)
	}
	buf = buf[:want]
	if err := readFull(r.file, buf, seg.offset(lsn)); err != nil {
		return nil, err
	}
	size := int64(binary.LittleEndian.Uint32(buf)) + recordHeaderSize
	if size > int64(avail) {
		return nil, damagef("no record stands here: its length would be %d", size-recordHeaderSize)
	}
	if int(size) > want {
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
		return nil, damage("the record's checksum does not match: its content is not what was written")
	}
	return payload, nil
}
