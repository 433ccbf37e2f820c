package wal

import "encoding/binary"

// Record returns the payload of the record at lsn, as Log.Read does; ok is false if no
// intact record of the group stands there. The payload is as Each gives it.
func (g *Group) Record(lsn LSN) (payload []byte, ok bool) {
	c := GroupCopy{start: g.start, seed: g.seg.seed, buf: g.buf[:g.n]}
	return c.Record(lsn)
}

// GroupCopy is a copy of a group's records, in memory of the caller's.
type GroupCopy struct {
	start LSN
	seed  uint32
	buf   []byte
}

// CopySize returns how many bytes a copy of the group takes.
func (g *Group) CopySize() int { return g.n }

// CopyTo copies the group into dst, which has CopySize bytes and must not change as long
// as the copy is in use.
func (g *Group) CopyTo(dst []byte) GroupCopy {
	copy(dst, g.buf[:g.n])
	return GroupCopy{start: g.start, seed: g.seg.seed, buf: dst[:g.n]}
}

// Start returns the address of the group that was copied, End the one behind its records.
func (c *GroupCopy) Start() LSN { return c.start }

// End returns the address behind the last record.
func (c *GroupCopy) End() LSN { return c.start + LSN(len(c.buf)) }

// Record returns the payload of the record at lsn; ok is false if no intact record of the
// group stands there. The payload aliases the copy.
func (c *GroupCopy) Record(lsn LSN) (payload []byte, ok bool) {
	if lsn < c.start+groupHeaderSize || lsn >= c.End() || lsn%recordAlign != 0 {
		return nil, false
	}
	rec := c.buf[lsn-c.start:]
	if len(rec) < recordHeaderSize {
		return nil, false
	}
	size := int64(binary.LittleEndian.Uint32(rec)) + recordHeaderSize
	if size > int64(len(rec)) {
		return nil, false
	}
	payload = rec[recordHeaderSize:size:size]
	return payload, binary.LittleEndian.Uint32(rec[4:]) == recordCRC(c.seed, lsn, payload)
}
