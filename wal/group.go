package wal

import (
	"hash/crc32"
	"sync/atomic"
)

// Group is a run of records that became durable together. OnCommit and Replay
// hand it out with one reference, which ends when the call returns: a reader
// that keeps it calls Retain first and Release when done. All methods but
// Release are safe for concurrent use by holders of a reference.
type Group struct {
	log *Log
	buf []byte // header, records, padding: what one write puts on disk
	n   int    // bytes used, header included
	max int    // bytes usable: len(buf), or less at the end of a segment

	seg   *segment
	start LSN
	count int
	bytes int    // of the payloads
	chain uint32 // behind the group; set when it is sealed

	// urgent says that some record's producer is going to wait; a group of lazy
	// records alone may wait for company. Guarded by Log.mu until closed.
	urgent bool

	// givenUp says that done was closed before the outcome was known, because the
	// disk hangs. Guarded by Log.mu while the group is open, queued or in mu.batch;
	// later the committer's.
	givenUp bool

	// fillers counts the records whose Done is outstanding, plus one while the
	// group is open. Who brings it to zero sends on filled, once per life.
	fillers atomic.Int32
	filled  chan struct{}

	// done is closed when the group's outcome is known, or given up. Tickets hold their own
	// copy, so a group can be recycled under them.
	done chan struct{}

	refs atomic.Int32
}

// Start returns the group's address.
func (g *Group) Start() LSN { return g.start }

// End returns the boundary behind the group: the next group starts there, or
// at the start of the next segment, which is the same boundary.
func (g *Group) End() Position {
	return Position{LSN: g.start + LSN(alignUp(g.n, groupAlign)), Chain: g.chain}
}

// Len returns the number of records; zero for a mark.
func (g *Group) Len() int { return g.count }

// Bytes returns the number of bytes of the records with their headers.
func (g *Group) Bytes() int { return g.n - groupHeaderSize }

// Buffer returns the number of bytes of memory that retaining the group holds.
func (g *Group) Buffer() int { return len(g.buf) }

// Each calls fn with each record in order. The payload aliases the group's
// buffer: it is valid while the group is retained and must not be changed. An
// error of fn ends the walk and is returned.
func (g *Group) Each(fn func(lsn LSN, payload []byte) error) error {
	return eachRecord(g.buf[groupHeaderSize:g.n], g.start+groupHeaderSize,
		func(lsn LSN, _, payload []byte) error { return fn(lsn, payload) })
}

// Retain adds a reference.
func (g *Group) Retain() { g.refs.Add(1) }

// Release gives up a reference. With the last one the buffer goes back to the
// log's pool, and no payload of the group may be used any more.
func (g *Group) Release() {
	switch refs := g.refs.Add(-1); {
	case refs == 0:
		g.log.pool.put(g)
	case refs < 0:
		panic("wal: BUG: group released more often than retained")
	}
}

// room returns how many more bytes of records fit.
func (g *Group) room() int { return g.max - g.n }

// fillerDone takes one off the fillers.
func (g *Group) fillerDone() {
	if g.fillers.Add(-1) == 0 {
		g.filled <- struct{}{} // cap 1 and once per life: never blocks
	}
}

// seal completes the bytes of a closed and filled group and returns them. The
// mark is the end of the durable prefix, chain the checksum before the group.
func (g *Group) seal(mark LSN, chain uint32) []byte {
	end := alignUp(g.n, groupAlign)
	clear(g.buf[g.n:end])
	g.chain = crc32.Update(chain, castagnoli, g.buf[groupHeaderSize:g.n])
	h := groupHeader{
		bytes:     uint32(g.n - groupHeaderSize),
		count:     uint32(g.count),
		lsn:       g.start,
		mark:      mark,
		prevChain: chain,
		chain:     g.chain,
	}
	h.encode(g.buf, g.seg.seed)
	return g.buf[:end]
}

// toPage returns a sealed group with zeros up to the end of its last page, where the
// buffer has room: a page that is written in part and is not in the page cache, as that of
// a new spare, would have to be read first. What stands there has no meaning, and the
// next group will be written over it.
func (g *Group) toPage(sealed []byte) []byte {
	inPage := int(g.seg.offset(g.start) % pageSize)
	end := min(alignUp(inPage+len(sealed), pageSize)-inPage, len(g.buf))
	clear(g.buf[len(sealed):end])
	return g.buf[:end]
}
