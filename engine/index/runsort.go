package index

import (
	"cmp"
	"slices"
)

// A run of pending rows is not in order, but it is made of few pieces that are: the rows
// of a lane come as they fall due, mostly, and their keys begin with the lane. To move the
// rows of each lane together takes a look or two at each row, where sorting them all
// takes a dozen.
//
// runSorter does so for any run. It keeps its memory from batch to batch.
type runSorter struct {
	byPrefix map[uint64]uint32 // places in pieces
	pieces   []runPiece
	order    []uint32 // places in pieces, by their prefixes
	of       []uint32 // each row's place in pieces
	spare    []runRow
}

// runPiece is the rows of one prefix.
type runPiece struct {
	prefix uint64
	n      int
	to     int // where the next of its rows goes; in the end behind the last
}

// runPieceMin is how many rows of one prefix there must be in the mean. With fewer it is
// quicker to sort.
const runPieceMin = 8

// sort puts the rows of r in the order of compare. It may swap their memory for its own.
func (s *runSorter) sort(r *run) {
	switch {
	case slices.IsSortedFunc(r.rows, r.compare):
	case !s.split(r.rows):
		slices.SortFunc(r.rows, r.compare)
	default:
		s.place()
		s.gather(r)
		for _, p := range s.pieces {
			slices.SortFunc(r.rows[p.to-p.n:p.to], r.compare) // one look at each row of one that is in order
		}
	}
}

// split finds out to which piece each row belongs. It gives up at too many pieces.
func (s *runSorter) split(rows []runRow) bool {
	if s.byPrefix == nil {
		s.byPrefix = map[uint64]uint32{}
	}
	clear(s.byPrefix)
	s.pieces, s.of = s.pieces[:0], s.of[:0]
	for i := range rows {
		n, ok := s.byPrefix[rows[i].prefix]
		if !ok {
			if len(s.pieces) >= len(rows)/runPieceMin {
				return false
			}
			n = uint32(len(s.pieces))
			s.byPrefix[rows[i].prefix] = n
			s.pieces = append(s.pieces, runPiece{prefix: rows[i].prefix})
		}
		s.pieces[n].n++
		s.of = append(s.of, n)
	}
	return true
}

// place finds where each piece begins.
func (s *runSorter) place() {
	s.order = s.order[:0]
	for n := range s.pieces {
		s.order = append(s.order, uint32(n))
	}
	slices.SortFunc(s.order, func(a, b uint32) int { return cmp.Compare(s.pieces[a].prefix, s.pieces[b].prefix) })
	at := 0
	for _, n := range s.order {
		s.pieces[n].to = at
		at += s.pieces[n].n
	}
}

// gather moves the rows of each piece together, in the order in which they came.
func (s *runSorter) gather(r *run) {
	out := slices.Grow(s.spare[:0], len(r.rows))[:len(r.rows)]
	for i := range r.rows {
		p := &s.pieces[s.of[i]]
		out[p.to] = r.rows[i]
		p.to++
	}
	r.rows, s.spare = out, r.rows
}
