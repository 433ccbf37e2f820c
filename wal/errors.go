package wal

import (
	"errors"
	"fmt"
)

// Errors of publishing: Reserve, Append, Wait, Commit.
var (
	// ErrClosed is returned after Close has begun.
	ErrClosed = errors.New("wal: closed")
	// ErrPoisoned is returned for good after the first failed write or sync
	// (W8). The error it comes with wraps the cause. A record whose Wait returns
	// it may or may not be found by the next recovery.
	ErrPoisoned = errors.New("wal: poisoned by a failed write or sync")
	// ErrStalled is returned while a write or sync has been under way for longer
	// than Options.StallAfter. From Reserve it means that nothing was reserved;
	// from Wait that the outcome is not known: the record stays in the log's hands
	// and becomes durable, OnCommit included, if the disk answers. It is not
	// final.
	ErrStalled = errors.New("wal: the disk does not answer")
	// ErrTooLarge is returned by Reserve for a payload above Options.MaxRecord.
	ErrTooLarge = errors.New("wal: record too large")
	// ErrLagging is returned by Reserve in Manual mode where it would otherwise
	// block: too many group buffers wait for Commit.
	ErrLagging = errors.New("wal: too many groups wait to be committed")
	// ErrNoSpace is returned by Reserve when the record needs a new segment and
	// the disk has no room for one, or one of class Reclaiming would have to wait for
	// it. It is not final: the log goes on preparing the segment and works again once
	// there is room.
	ErrNoSpace = errors.New("wal: no space for the next segment")
)

// Errors of reading: Read, Replay.
var (
	// ErrNotFound is returned for an address outside the log.
	ErrNotFound = errors.New("wal: no such address in the log")
)

// hintDamage tells the operator the way on (W6).
const hintDamage = "run `tidemill wal verify` to see how much is damaged, then `tidemill wal repair` to set it aside"

// CorruptionError reports damage: bytes that were durable once and are not
// what was written. It is never returned for a torn tail, which is cut.
type CorruptionError struct {
	Segment string // file name inside the log directory; empty if none is at fault
	Offset  int64  // byte offset in that file
	Hint    string // what the operator can do; may be empty
	Err     error  // what is wrong there and what it means
}

// Error names segment, offset, meaning and the way on.
func (e *CorruptionError) Error() string {
	s := fmt.Sprintf("wal: segment %s, offset %d: %v", e.Segment, e.Offset, e.Err)
	if e.Segment == "" {
		s = fmt.Sprintf("wal: %v", e.Err)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *CorruptionError) Unwrap() error { return e.Err }

// VersionError reports a segment written by a later version of the program.
type VersionError struct {
	Segment   string
	Found     uint32
	Supported uint32
}

// Error names both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("wal: segment %s has format version %d, this program reads versions up to %d; start the version that wrote it",
		e.Segment, e.Found, e.Supported)
}

// damage is why some bytes are not a valid header, group or record. Whether
// that is a torn tail or corruption depends on where it stands.
type damage string

func (d damage) Error() string { return string(d) }

func damagef(format string, args ...any) error { return damage(fmt.Sprintf(format, args...)) }
