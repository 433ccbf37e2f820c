package index

import (
	"encoding/binary"
	"math/bits"
)

// Statistics of accounts: what was published and what came of it, how late attempts
// began and how long deliveries took. They are counted where records are applied, in
// the batch that applies them, so each record counts once, whatever crashes.
//
// The applier has counts of two seconds and a minute open for every account that had
// traffic lately (openCounts). What a second counted is added to its minute, and kept in
// memory for an hour (seconds). What a minute counted becomes a row. What is open is in
// the account's own row, which each batch that changes it writes anew:
//
//	'z' 'a' user:4                    messages pending uv, pieces
//	'z' 'm' day:4 user:4 minute:2     pieces; minute is that of the day
//
// A piece is the counts of a second or a minute, or of a part of one. Rows of minutes are
// merged, which for Pebble means that pieces follow one another: so one that is counted
// for again, since the clock was set back, needs no reading either (X1). Everywhere the
// sum of all pieces holds.
//
//	piece: time uv (unix s), width u8 (1 or 60 s), published uv, delivered uv, retried uv, failed uv,
//	       canceled uv, backlog uv, latency, lateness
//	spread: number of buckets uv, of each: distance from the one before uv, count uv
const (
	statsAccount = 'a'
	statsMinute  = 'm'

	minuteSeconds = 60
)

func accountKey(dst []byte, user uint32) []byte {
	return be.AppendUint32(append(dst[:0], kindStats, statsAccount), user)
}

// minuteKey is of the minute that begins at a time, unix s. Keys start with the day (X6).
func minuteKey(dst []byte, user uint32, at int64) []byte {
	dst = be.AppendUint32(append(dst[:0], kindStats, statsMinute), dayOf(at*1000))
	return be.AppendUint16(be.AppendUint32(dst, user), minuteOf(at))
}

func minuteOf(at int64) uint16 { return uint16(at % (dayMillis / 1000) / minuteSeconds) }

// statsDay begins the minutes of a day.
func statsDay(dst []byte, day uint32) []byte {
	return be.AppendUint32(append(dst[:0], kindStats, statsMinute), day)
}

// A spread counts times, of whole milliseconds. Those below 8 ms have a bucket each; above
// there are four to an octave, so a bucket's upper end is at most a quarter more than
// what it counts. Its last one has all from 31 hours on.
const (
	spreadBuckets = 104
	spreadMax     = 1<<27 - 1 // ms
)

type spread[T uint32 | uint64] [spreadBuckets]T

// bucketOf returns the bucket of a time; one that lies before zero counts as zero.
func bucketOf(ms int64) int {
	v := uint64(min(max(ms, 0), spreadMax))
	if v < 8 {
		return int(v)
	}
	e := bits.Len64(v) - 3
	return e*4 + int(v>>e)
}

// bucketEnd returns the greatest time that a bucket counts, ms.
func bucketEnd(i int) int64 {
	if i < 8 {
		return int64(i)
	}
	e := i/4 - 1
	return int64(i%4+5)<<e - 1
}

// counts are what is counted of a stretch of time. Open ones are of 32 bits, sums of 64.
type counts[T uint32 | uint64] struct {
	published, delivered, retried, failed, canceled T

	backlog           uint64 // messages pending at the newest event
	latency, lateness spread[T]
}

func (c *counts[T]) numbers() [5]*T {
	return [...]*T{&c.published, &c.delivered, &c.retried, &c.failed, &c.canceled}
}

// addCounts adds what came later than c.
func addCounts[T, U uint32 | uint64](c *counts[T], d *counts[U]) {
	from := d.numbers()
	for i, n := range c.numbers() {
		*n += T(*from[i])
	}
	c.backlog = d.backlog
	for i := range d.latency {
		c.latency[i] += T(d.latency[i])
		c.lateness[i] += T(d.lateness[i])
	}
}

// appendPiece encodes the counts of a stretch that begins at a time, unix s, and is as
// wide as this.
func appendPiece(dst []byte, at int64, width byte, c *counts[uint32]) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(at)), width)
	for _, n := range c.numbers() {
		dst = binary.AppendUvarint(dst, uint64(*n))
	}
	dst = binary.AppendUvarint(dst, c.backlog)
	return appendSpread(appendSpread(dst, &c.latency), &c.lateness)
}

func appendSpread(dst []byte, s *spread[uint32]) []byte {
	used := 0
	for _, n := range s {
		if n > 0 {
			used++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(used))
	last := 0
	for i, n := range s {
		if n > 0 {
			dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(i-last)), uint64(n))
			last = i
		}
	}
	return dst
}

// addPiece decodes a piece and adds it to c.
func addPiece[T uint32 | uint64](r *rowReader, c *counts[T]) {
	for _, n := range c.numbers() {
		*n += T(r.uint())
	}
	c.backlog = r.uint()
	addSpread(r, &c.latency)
	addSpread(r, &c.lateness)
}

// pieceAt decodes what of a piece says when it is of.
func pieceAt(r *rowReader) (at int64, width byte) {
	at, width = int64(r.uint()), r.byte()
	r.bad = r.bad || at < 0 || width != 1 && width != minuteSeconds
	return at, width
}

func addSpread[T uint32 | uint64](r *rowReader, s *spread[T]) {
	i := uint64(0)
	for used := r.uint(); used > 0 && !r.bad; used-- {
		i += r.uint()
		n := r.uint()
		if i >= spreadBuckets {
			r.bad = true
			return
		}
		s[i] += T(n)
	}
}
