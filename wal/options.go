package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	defaultSegmentSize = 64 << 20
	defaultMaxRecord   = 2 << 20
	defaultReserve     = 4
	defaultLazyDelay   = 10 * time.Millisecond
	defaultIdleMark    = 50 * time.Millisecond
	defaultStallAfter  = 10 * time.Second
)

// Options says where a log is and how it works. Only Dir is required.
type Options struct {
	// FS is the disk. Default: vfs.Default, the operating system's.
	FS vfs.FS

	// Dir is the log's directory. It is created if missing, one level deep.
	Dir string

	// SegmentSize is the size of new segment files in bytes, a multiple of 4096
	// from 64 KiB to 1 GiB. Segments of other sizes in the log stay readable.
	// Default: 64 MiB.
	SegmentSize int64

	// Reserve is how many spare segments are kept back for a full disk: producers
	// take none of them, lazy records only the first half, reclaiming all but one (Class).
	// One more is kept ready for producers. Default: 4; below zero: none.
	Reserve int

	// MaxRecord is the largest payload in bytes. A segment must hold at least
	// one such record (W9). Reclaiming's may be as large as a segment holds: they
	// copy what was stored under another MaxRecord. Default: 2 MiB, or what fits a smaller segment.
	MaxRecord int

	// SyncInterval is zero for a sync before every acknowledgement. Above zero, a
	// record is acknowledged once written and the log is synced that often: a
	// crash of the process loses nothing, a power cut up to that much of what was
	// acknowledged. OnCommit still sees durable groups only. Default: 0.
	SyncInterval time.Duration

	// Durable is the index's durable position. Everything below it was synced
	// once, so it counts as a mark; recovery starts its full scan there, and a
	// log that ends below it is damaged (W6, W7). Default: zero, none.
	Durable Position

	// ReplayChecks leaves the scan of all segments but the last to Replay, which the caller
	// promises to run from Durable on before it relies on anything above: so that the log
	// is read once. What Open would have refused, Replay refuses.
	ReplayChecks bool

	// Rand is the source of identities. Default: crypto/rand.Reader.
	Rand io.Reader

	// Manual means: no goroutine and no timer, for a simulator. The caller drives
	// Commit and WriteMark from one goroutine; new segments are made inline.
	Manual bool

	// OnCommit, if set, is called once per durable group, marks (Len 0) included,
	// strictly in log order, by one goroutine at a time, before the waiters of
	// the group wake (with SyncInterval set they may have woken earlier). It runs
	// on the commit path, so it must be quick: it may Reserve lazily, but must
	// not Wait, Commit or Close. Groups must be retained to be kept.
	OnCommit func(*Group)

	// OnPoison, if set, is called once with the first write or sync error (W8),
	// from a goroutine of its own; inline if Manual.
	OnPoison func(error)

	// Progress, if set, is called by Open while it scans what the log holds above
	// Durable, about once per MiB read and on the caller's goroutine: done of total
	// bytes. The last call may leave a rest: how full the last segment is turns out
	// when its end is found.
	Progress func(done, total int64)

	// LazyDelay is the longest a lazy record waits for company. Default: 10 ms.
	LazyDelay time.Duration

	// IdleMark is how long the log must be idle before it writes a mark.
	// Default: 50 ms.
	IdleMark time.Duration

	// StallAfter is how long a write or sync of the commit path, or the wait for
	// the next segment's file, may take before Wait and Reserve fail with
	// ErrStalled. Without effect if Manual. Default: 10 s.
	StallAfter time.Duration

	// Logger gets events, not steps. Default: discard.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	if o.Reserve == 0 {
		o.Reserve = defaultReserve
	}
	if o.MaxRecord == 0 {
		o.MaxRecord = min(defaultMaxRecord, largestRecord(o.SegmentSize))
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.LazyDelay == 0 {
		o.LazyDelay = defaultLazyDelay
	}
	if o.IdleMark == 0 {
		o.IdleMark = defaultIdleMark
	}
	if o.StallAfter == 0 {
		o.StallAfter = defaultStallAfter
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// reserve is how many spares are kept back, of options with their defaults.
func (o *Options) reserve() int { return max(o.Reserve, 0) }

// largestRecord is the largest payload that a segment file of size bytes holds.
func largestRecord(size int64) int {
	return int(size) - segmentHeaderSize - groupHeaderSize - recordHeaderSize
}

func (o Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("wal: Options.Dir is empty")
	case o.SegmentSize < minSegmentSize || o.SegmentSize > maxSegmentSize || o.SegmentSize%segmentHeaderSize != 0:
		return fmt.Errorf("wal: segment size %d is not a multiple of %d from %d to %d",
			o.SegmentSize, segmentHeaderSize, minSegmentSize, maxSegmentSize)
	case o.MaxRecord < 0 || o.MaxRecord > largestRecord(o.SegmentSize):
		return fmt.Errorf("wal: a record of %d bytes does not fit a segment of %d, which holds up to %d",
			o.MaxRecord, o.SegmentSize, largestRecord(o.SegmentSize))
	case o.SyncInterval < 0 || o.LazyDelay < 0 || o.IdleMark < 0 || o.StallAfter < 0:
		return errors.New("wal: negative duration in Options")
	}
	return nil
}
