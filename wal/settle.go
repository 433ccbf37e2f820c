package wal

import "hash/crc32"

// settle decides what was lost, and turns data into the group that a repair puts
// in the region's place: the intact records at their addresses, fillers between
// them, and behind it the chained checksum as it was.
func (r *region) settle() {
	complete := r.anchored && r.chainOver() == r.after ||
		r.head != nil && len(r.records) == int(r.head.count)
	holes, areaEnd := r.holes(complete)
	if !complete {
		r.judge(holes)
	}
	r.rebuild(holes, areaEnd)
}

// hole is data[from:to], where no intact record stands.
type hole struct{ from, to int }

// holes returns the gaps between the records, and where the records of the
// rebuilt group will end: where they did, or at the end of the last gap.
func (r *region) holes(complete bool) (holes []hole, areaEnd int) {
	at := groupHeaderSize
	for _, f := range r.records {
		if f.off > at {
			holes = append(holes, hole{at, f.off})
		}
		at = f.off + f.size
	}
	end := len(r.data)
	if r.head != nil {
		end = groupHeaderSize + int(r.head.bytes)
	} else if end-at < groupAlign && (complete || len(r.records) > 0 && !r.anchored && allZero(r.data[at:])) {
		end = at // what is left is padding
	}
	if end > at {
		holes = append(holes, hole{at, end})
	}
	return holes, end
}

// judge says what the holes have lost. The count in a sound group header helps
// where the records themselves cannot be told apart.
func (r *region) judge(holes []hole) {
	for _, h := range holes {
		r.lost = append(r.lost, r.retrace(h)...)
	}
	if r.head == nil {
		if r.anchored && len(r.lost) == 0 && len(holes) > 0 { // the chained checksum says so
			h := holes[len(holes)-1]
			r.lost = []Lost{{LSN: r.from + LSN(h.from), End: r.from + LSN(h.to)}}
		}
		return
	}
	rest, vague := int(r.head.count)-len(r.records), -1
	for i, l := range r.lost {
		if rest -= l.Records; l.Records == 0 {
			if vague >= 0 {
				return // two of them: nobody knows how many were in which
			}
			vague = i
		}
	}
	if vague >= 0 && rest > 0 {
		r.lost[vague].Records = rest
	}
}

// retrace follows the lengths of damaged records through a hole. If they lead to
// its end, that is what stood there; if not, only its extent is known.
func (r *region) retrace(h hole) (lost []Lost) {
	vague := []Lost{{LSN: r.from + LSN(h.from), End: r.from + LSN(h.to)}}
	for off := h.from; off < h.to; {
		if size := emptyFiller(r.data[off:h.to]); size > 0 {
			off += size
			continue
		}
		if r.isBoundary(off, h.to) {
			break
		}
		payload, size, err := nextRecord(r.data[off:h.to])
		if err != nil || len(payload) == 0 {
			return vague
		}
		lsn := r.from + LSN(off)
		lost = append(lost, Lost{LSN: lsn, End: lsn + LSN(size), Records: 1, What: r.describe(lsn, payload)})
		off += size
	}
	return lost
}

// isBoundary says whether what lies between from and to is no record but the
// padding of a group, and the place of the next one's header unless the region
// ends there. That can be in a region whose headers are lost, and behind a record.
func (r *region) isBoundary(from, to int) bool {
	pad := alignUp(from, groupAlign)
	if r.head != nil || from == groupHeaderSize || pad > to || !allZero(r.data[from:pad]) {
		return false
	}
	return pad+groupHeaderSize == to || pad == to && to == len(r.data) && pad > from
}

// rebuild makes data the group that takes the region's place.
func (r *region) rebuild(holes []hole, areaEnd int) {
	data := make([]byte, len(r.data))
	for _, f := range r.records {
		copy(data[f.off:], r.data[f.off:f.off+f.size])
	}
	for _, h := range holes {
		putFiller(data[h.from:h.to])
	}
	r.data = data
	areaEnd = r.keepChain(holes, areaEnd)
	h := groupHeader{
		bytes: uint32(areaEnd - groupHeaderSize), count: uint32(len(r.records)),
		lsn: r.from, mark: r.from, prevChain: r.before, chain: r.after,
	}
	if r.head != nil {
		h.mark = r.head.mark
	}
	h.encode(r.data, r.seg.seed)
}

// keepChain makes the chained checksum behind the group what it was, by the
// balance of a filler, and returns where the group's records end. A group without
// a hole gets a filler in its padding; one without padding, which nothing but a
// break in the chain before it can bring here, gives up its last record.
func (r *region) keepChain(holes []hole, areaEnd int) int {
	chain := crc32.Update(r.before, castagnoli, r.data[groupHeaderSize:areaEnd])
	if !r.anchored {
		r.after = chain
	}
	if chain == r.after {
		return areaEnd
	}
	if len(holes) == 0 {
		holes = append(holes, hole{areaEnd, len(r.data)})
		if areaEnd == len(r.data) {
			holes[0].from = r.dropLast()
		}
		areaEnd = len(r.data)
		putFiller(r.data[holes[0].from:])
	}
	at := holes[len(holes)-1].from + 4
	balance(r.data[groupHeaderSize:areaEnd], at-groupHeaderSize, r.before, r.after)
	return areaEnd
}

// dropLast gives up the last record and returns where it began.
func (r *region) dropLast() int {
	f := r.records[len(r.records)-1]
	r.records = r.records[:len(r.records)-1]
	lsn, payload := r.from+LSN(f.off), r.data[f.off+recordHeaderSize:][:f.n]
	r.lost = append(r.lost, Lost{LSN: lsn, End: lsn + LSN(f.size), Records: 1, What: r.describe(lsn, payload)})
	return f.off
}
