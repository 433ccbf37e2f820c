package wal

import (
	"sync/atomic"
	"time"
)

// Stats counts what a log has done since Open. Take two and subtract.
type Stats struct {
	Groups        uint64        // written, marks included
	Marks         uint64        // mark-only groups among them
	Records       uint64        // committed
	PayloadBytes  uint64        // of the records
	WrittenBytes  uint64        // with headers and padding
	Syncs         uint64        // of segment data, on the commit path
	SyncTime      time.Duration // spent in them
	Rotations     uint64        // segments begun
	SparesMade    uint64        // segment files zeroed
	InlineCommits uint64        // commits by a waiting producer, without a hand-over
	LongestSync   time.Duration // of all that have returned
	Stalls        uint64        // times the disk did not answer for StallAfter
}

// counters is Stats as it is counted.
type counters struct {
	groups, marks, records, payloadBytes, writtenBytes atomic.Uint64
	syncs, rotations, sparesMade, inlineCommits        atomic.Uint64
	syncNanos, longestSync                             atomic.Int64
	stalls                                             atomic.Uint64
}

// Stats returns the counters. They are read one by one, not as of one moment.
func (l *Log) Stats() Stats {
	c := &l.counters
	return Stats{
		Groups:        c.groups.Load(),
		Marks:         c.marks.Load(),
		Records:       c.records.Load(),
		PayloadBytes:  c.payloadBytes.Load(),
		WrittenBytes:  c.writtenBytes.Load(),
		Syncs:         c.syncs.Load(),
		SyncTime:      time.Duration(c.syncNanos.Load()),
		Rotations:     c.rotations.Load(),
		SparesMade:    c.sparesMade.Load(),
		InlineCommits: c.inlineCommits.Load(),
		LongestSync:   time.Duration(c.longestSync.Load()),
		Stalls:        c.stalls.Load(),
	}
}
