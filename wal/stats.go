package wal

import (
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/wal/histogram"
)

// Stats counts what a log has done since Open: take two and subtract. What there
// is now comes first.
type Stats struct {
	Segments     int   // in the log
	SegmentBytes int64 // of their files
	Spares       int   // ready, of SegmentSize each
	HeldBytes    int64 // of files that have left the log and wait to be recycled or removed

	Groups        uint64        // written, marks included
	Marks         uint64        // mark-only groups among them
	Records       uint64        // committed
	PayloadBytes  uint64        // of the records
	WrittenBytes  uint64        // with headers and padding
	Syncs         uint64        // of segment data, on the commit path
	SyncTime      time.Duration // spent in them
	Rotations     uint64        // segments begun
	SparesMade    uint64        // segment files made, zeroed or allocated
	Allocated     uint64        // of these, without having been zeroed
	Recycled      uint64        // segment files made spares again
	Removed       uint64        // segment files removed
	Reclaimed     uint64        // bytes of those recycled and removed
	InlineCommits uint64        // commits by a waiting producer, without a hand-over
	LongestSync   time.Duration // of all that have returned
	Stalls        uint64        // times the disk did not answer for StallAfter
}

// counters is Stats as it is counted.
type counters struct {
	groups, marks, records, payloadBytes, writtenBytes atomic.Uint64
	syncs, rotations, sparesMade, inlineCommits        atomic.Uint64
	allocated                                          atomic.Uint64
	recycled, removed, reclaimedBytes, stalls          atomic.Uint64
	syncNanos, longestSync                             atomic.Int64

	groupRecords, groupBytes histogram.Sizes // of groups with records; bytes as written
	syncTimes                histogram.Durations
}

// Histograms are how large groups are and how long their syncs take, since Open.
type Histograms struct {
	GroupRecords, GroupBytes, Sync histogram.Snapshot
}

// Histograms returns what was counted; see Stats.
func (l *Log) Histograms() Histograms {
	c := &l.counters
	return Histograms{
		GroupRecords: c.groupRecords.Snapshot(0, 12, 1),
		GroupBytes:   c.groupBytes.Snapshot(9, 27, 2),
		Sync:         c.syncTimes.Snapshot(),
	}
}

// Stats returns the counters. They are read one by one, not as of one moment.
func (l *Log) Stats() Stats {
	c := &l.counters
	list := *l.segments.Load()
	var bytes int64
	for _, seg := range list {
		bytes += seg.size
	}
	return Stats{
		Segments:      len(list),
		SegmentBytes:  bytes,
		Spares:        int(l.spares.count.Load()),
		HeldBytes:     l.spares.held(),
		Groups:        c.groups.Load(),
		Marks:         c.marks.Load(),
		Records:       c.records.Load(),
		PayloadBytes:  c.payloadBytes.Load(),
		WrittenBytes:  c.writtenBytes.Load(),
		Syncs:         c.syncs.Load(),
		SyncTime:      time.Duration(c.syncNanos.Load()),
		Rotations:     c.rotations.Load(),
		SparesMade:    c.sparesMade.Load(),
		Allocated:     c.allocated.Load(),
		Recycled:      c.recycled.Load(),
		Removed:       c.removed.Load(),
		Reclaimed:     c.reclaimedBytes.Load(),
		InlineCommits: c.inlineCommits.Load(),
		LongestSync:   time.Duration(c.longestSync.Load()),
		Stalls:        c.stalls.Load(),
	}
}
