package wal

import "encoding/binary"

// Record returns the payload of the record at lsn, as Log.Read does; ok is false if no
// intact record of the group stands there. The payload is as Each gives it.
func (g *Group) Record(lsn LSN) (payload []byte, ok bool) {
	if lsn < g.start+groupHeaderSize || lsn >= g.start+LSN(g.n) || lsn%recordAlign != 0 {
		return nil, false
	}
	rec := g.buf[lsn-g.start : g.n]
	if len(rec) < recordHeaderSize {
		return nil, false
	}
	size := int64(binary.LittleEndian.Uint32(rec)) + recordHeaderSize
	if size > int64(len(rec)) {
		return nil, false
	}
	payload = rec[recordHeaderSize:size:size]
	return payload, binary.LittleEndian.Uint32(rec[4:]) == recordCRC(g.seg.seed, lsn, payload)
}
