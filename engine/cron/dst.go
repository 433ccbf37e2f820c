package cron

import "fmt"

// DST says what becomes of fixed times that do not exist or that come twice; the
// package comment defines both, and "fixed". The zero value is the default.
type DST uint8

const (
	// FireOnce fires a time in the gap at the first moment after it, and a
	// repeated time the first time.
	FireOnce DST = iota
	// Skip leaves out a time in the gap, and fires a repeated time the first time.
	Skip
	// Both fires a time in the gap at the first moment after it, and a repeated
	// time both times.
	Both
)

var dstNames = [...]string{FireOnce: "fire-once", Skip: "skip", Both: "both"}

// ParseDST reads fire-once, skip or both.
func ParseDST(s string) (DST, bool) {
	for d, name := range dstNames {
		if s == name {
			return DST(d), true
		}
	}
	return FireOnce, false
}

// String returns what ParseDST reads.
func (d DST) String() string {
	if int(d) < len(dstNames) {
		return dstNames[d]
	}
	return fmt.Sprintf("DST(%d)", uint8(d))
}
