// Package record is the codec of the engine's log records: what a payload of
// the log means. It knows bytes, not files, and makes no decision.
//
// Every payload starts with its type and the version of that type's layout:
//
//	┌──────┬─────────┬───────┬──────────────────┬────────────┬──────────┐
//	│ type │ version │ flags │ fixed head       │ fields     │ body     │
//	│ u8   │ u8      │ u16   │ by type          │ tag,len,…  │ the rest │
//	└──────┴─────────┴───────┴──────────────────┴────────────┴──────────┘
//
// Integers are little-endian. The fixed head holds all that the engine's step
// function and the index need, at fixed offsets, so that neither parses more
// than it uses; fields are tagged, so that a later version adds to them and an
// earlier one refuses what it does not know (see Tag). FORMAT.md lists them.
//
// # The life of a message in records
//
// A Message is published by one record and ended by one Outcome; every retry
// between them is an Outcome too. A message is known by its seq, the LSN of the
// record that published it (plus its ordinal where one record publishes
// several), and carries a nonce, so that an id cannot be guessed from a
// position. Outcomes repeat every key that their index rows need, so that the
// applier reads nothing back (X1), and no record refers to another record's
// body (W9).
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Type says what a payload means.
type Type uint8

// The record types. Numbers are for ever.
const (
	TypeMessage  Type = 1 // a message was published
	TypeOutcome  Type = 2 // an attempt ended, or a message was canceled
	TypeDropDead Type = 3 // a dead letter was deleted
	TypeUser     Type = 4 // the newest state of an account
	TypeMove     Type = 5 // a record that stood in the oldest segment, copied to the head

	TypeToken     Type = 6 // a token of an account
	TypeDropToken Type = 7 // a token was revoked
	TypeDropUser  Type = 8 // an account was deleted
	TypeJob       Type = 9 // the newest state of a replay of delivered messages

	TypeSchedule     Type = 16 // the newest definition of a schedule
	TypeDropSchedule Type = 17 // a schedule was deleted
	TypeTick         Type = 18 // ticks of a schedule that published nothing

	TypeQueue     Type = 19 // the newest state of a queue
	TypeFlow      Type = 20 // the newest state of a flow-control key
	TypeGroup     Type = 21 // the newest definition of a URL group
	TypeDropGroup Type = 22 // a URL group was deleted

	TypePullQueue Type = 23 // the newest definition of a pull queue

	TypeFanout Type = 32 // a message was published to every endpoint of a URL group
)

// known says whether this version knows a type.
func known(t Type) bool {
	return TypeMessage <= t && t <= TypeJob || TypeSchedule <= t && t <= TypePullQueue || t == TypeFanout
}

// Errors of decoding. They mean damage or a newer writer: checksums are the
// log's business, so a payload that reaches this package was written whole.
var (
	ErrTruncated = errors.New("record: shorter than its layout")
	ErrUnknown   = errors.New("record: unknown type, version, flag or field")
)

// version is that of most layouts. dropDeadVersion is DropDead's: version 1, which
// is still read, did not say how much space the dead letter gives back.
const (
	version         = 1
	dropDeadVersion = 2
)

// NewestVersion is the newest version of any record's layout. Those of every version from
// 1 on are read.
const NewestVersion = dropDeadVersion

var le = binary.LittleEndian

// TypeOf returns the type of a payload.
func TypeOf(p []byte) (Type, error) {
	if len(p) < 4 {
		return 0, ErrTruncated
	}
	t := Type(p[0])
	newest := byte(version)
	if t == TypeDropDead {
		newest = dropDeadVersion
	}
	if !known(t) || p[1] == 0 || p[1] > newest {
		return 0, fmt.Errorf("%w: type %d version %d", ErrUnknown, p[0], p[1])
	}
	return t, nil
}

// check verifies the type byte, the version, the flags and the length of the
// fixed head.
func check(p []byte, t Type, head int, flags uint16) error {
	got, err := TypeOf(p)
	if err != nil {
		return err
	}
	if got != t {
		return fmt.Errorf("%w: type %d where %d was expected", ErrUnknown, got, t)
	}
	if got := le.Uint16(p[2:]); got&^flags != 0 {
		return fmt.Errorf("%w: type %d with flags %#x", ErrUnknown, t, got)
	}
	if len(p) < head {
		return ErrTruncated
	}
	return nil
}

// zero verifies bytes of a fixed head that this version has no use for. A later
// one may, and what it means by them must not get lost.
func zero(t Type, parts ...[]byte) error {
	for _, p := range parts {
		for _, b := range p {
			if b != 0 {
				return fmt.Errorf("%w: type %d uses a part of its head that is zero in this version", ErrUnknown, t)
			}
		}
	}
	return nil
}

// Header is one header line, its name in canonical case. Order is kept and
// names may repeat.
type Header struct {
	Name, Value string
}
