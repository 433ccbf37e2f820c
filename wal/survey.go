package wal

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// InspectOptions name a log that is looked at from outside: by Verify, Dump and
// Repair. Only Dir is required.
type InspectOptions struct {
	// FS is the disk. Default: vfs.Default.
	FS vfs.FS
	// Dir is the log's directory.
	Dir string
	// Durable is the index's durable position, which counts as a mark and, since it
	// holds the chained checksum, as a boundary. Default: zero, unknown.
	Durable Position
	// Log is the log's ID as the index remembers it, for a log without a single sound
	// header. Default: zero, unknown.
	Log ID
	// Describe says in a few words what a record is whose checksum failed, as far
	// as can be told from payload: its bytes as they stand. Default: nothing.
	Describe func(lsn LSN, payload []byte) string
	// Pause is called after n bytes of groups were read. An error ends the walk and is
	// returned. Default: nothing.
	Pause func(n int) error
}

func (o InspectOptions) withDefaults() InspectOptions {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Describe == nil {
		o.Describe = func(LSN, []byte) string { return "" }
	}
	if o.Pause == nil {
		o.Pause = func(int) error { return nil }
	}
	return o
}

// survey is a log as its files show it, damaged or not: every stretch of
// addresses that the log must have, in order, with the file that holds it.
//
// The newest segment is believed first. Each header names the segment before it
// and where that one ends, so from there backwards it is known what must exist;
// what is missing is a piece without a file, what nobody names is a stray. Files
// below the floor are left alone: the next start lets them go, whatever is in them.
type survey struct {
	o      InspectOptions
	log    ID
	begin  LSN // of the log: the floor in force, or where every log begins
	pieces []*piece
	strays []stray
	until  Position // Copy: where the last piece ends
}

// piece is a stretch of the log's addresses.
type piece struct {
	seg   *segment
	file  string // what holds it now; "": nothing
	wrong error  // why header, name or size are not as they must be; nil: they are
	lost  bool   // the header is made up: it says nothing about the piece before

	damaged bool // something in it is not as it was written, as verify found

	prev, next *piece // nil at the ends of the log
}

// stray is a file that is no part of the log.
type stray struct {
	file   string
	reason error
}

// gapMax bounds how many segments in a row are taken for missing. Beyond it a
// file's name is taken for wrong.
const gapMax = 1024

// newSurvey looks at all headers. With until set nothing behind that boundary is
// taken into account, not even a floor. Beside a running server it begins anew when
// a file that was listed has been reclaimed.
func newSurvey(o InspectOptions, until Position) (*survey, error) {
	for tries := 1; ; tries++ {
		sv := &survey{o: o.withDefaults(), until: until}
		err := sv.find()
		if errors.Is(err, os.ErrNotExist) && tries < surveyTries {
			continue
		}
		if err != nil {
			return nil, err
		}
		return sv, nil
	}
}

// surveyTries is more often than a server reclaims while headers are read.
const surveyTries = 10

func (sv *survey) find() error {
	names, err := sv.o.FS.List(sv.o.Dir)
	if err != nil {
		return fmt.Errorf("wal: list %s: %w", sv.o.Dir, err)
	}
	slices.Sort(names)
	var found []*piece
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		p, err := sv.look(name)
		if err != nil {
			return err
		}
		if p != nil && (sv.until.LSN == 0 || p.seg.first <= sv.until.LSN) {
			found = append(found, p)
		}
	}
	found = sv.aboveFloor(sv.assign(found))
	if len(found) == 0 {
		return fmt.Errorf("wal: %s holds no segment whose header or name can be read: is it a log?", sv.o.Dir)
	}
	return sv.link(found)
}

// look reads a file's header. It returns nil for one that says nothing.
func (sv *survey) look(name string) (*piece, error) {
	f, err := openRough(sv.o.FS, sv.o.Dir, name)
	if err != nil {
		return nil, err
	}
	defer f.close()
	page := make([]byte, segmentHeaderSize)
	if _, err := f.ReadAt(page, 0); err != nil {
		return nil, err
	}
	named, nameOK := parseSegmentName(name)
	h, err := decodeSegmentHeader(page)
	if ve, ok := errors.AsType[*VersionError](err); ok {
		ve.Segment = name
		return nil, ve
	}
	p := &piece{file: name}
	switch {
	case err != nil && !nameOK:
		sv.strays = append(sv.strays, stray{name, damage("neither its header nor its name say where in the log it belongs")})
		return nil, nil
	case err != nil:
		h, p.lost, p.wrong = sv.madeUpHeader(named, f.size), true, err
		copy(h.identity[:], page[56:])
	case !nameOK || h.first != named:
		p.wrong = damagef("the header belongs to the segment that begins at %v: the file was renamed or swapped", h.first)
	case h.size != f.size:
		p.wrong = damagef("the file has %d bytes, its header says %d: it was cut or extended", f.size, h.size)
	}
	p.seg = &segment{segmentHeader: h, seed: h.identity.seed()}
	return p, nil
}

// madeUpHeader is the header of a segment of which only the name is known, or not
// even that. Cut and prev are filled in when the piece before it is known.
func (sv *survey) madeUpHeader(first LSN, fileSize int64) segmentHeader {
	size := min(max(alignUp(fileSize, segmentHeaderSize), 2*segmentHeaderSize), maxSegmentSize)
	return segmentHeader{version: formatVersion, size: size, first: first, number: first.Segment(), log: sv.log, synced: first}
}

// assign finds for each first address the file that is it, and returns these in
// order. The others are strays.
func (sv *survey) assign(found []*piece) []*piece {
	if sv.log = commonLog(found); sv.log == (ID{}) {
		sv.log = sv.o.Log
	}
	slices.SortStableFunc(found, func(a, b *piece) int {
		return cmp.Or(cmp.Compare(a.seg.first, b.seg.first), cmp.Compare(rank(a), rank(b)))
	})
	var out []*piece
	for _, p := range found {
		switch n := len(out); {
		case p.lost && (p.seg.number == 0 || p.seg.first%groupAlign != 0):
			sv.stray(p, damage("its name is no address that a segment can have"))
		case p.lost && n > 0 && p.seg.number > out[n-1].seg.number+gapMax:
			sv.stray(p, damagef("its name says segment %d, far from %s", p.seg.number, out[n-1].file))
		case !p.lost && p.seg.log != sv.log:
			sv.stray(p, damagef("it belongs to another log, %v, not to %v", p.seg.log, sv.log))
		case n > 0 && out[n-1].seg.first == p.seg.first:
			sv.stray(p, damagef("it begins at %v like %s", p.seg.first, out[n-1].file))
		default:
			p.seg.log = sv.log
			out = append(out, p)
		}
	}
	return out
}

// aboveFloor leaves out what is below the floor, which never falls: the highest
// that a header names is in force. If the last segment's header is lost, which
// may have named a higher one, it is taken to have named the oldest file there is.
func (sv *survey) aboveFloor(found []*piece) []*piece {
	for _, p := range found {
		if !p.lost {
			sv.begin = max(sv.begin, p.seg.floor)
		}
	}
	found = slices.DeleteFunc(found, func(p *piece) bool { return p.seg.first < sv.begin })
	if n := len(found); n > 0 && found[n-1].lost {
		sv.begin = found[0].seg.first
	}
	if sv.begin == 0 {
		sv.begin = firstLSN
	}
	return found
}

// floorOf is the floor that a made-up header names.
func (sv *survey) floorOf(p *piece) LSN {
	switch {
	case p.prev == nil:
		return 0
	case p.next == nil && sv.begin != firstLSN:
		return sv.begin
	}
	return p.prev.seg.floor
}

// rank orders files that claim the same place: a sound one under its own name is
// believed before a sound one elsewhere, and that one before a name alone.
func rank(p *piece) int {
	switch {
	case p.lost:
		return 2
	case p.file != p.seg.name():
		return 1
	}
	return 0
}

// commonLog is the ID that most sound headers name; zero if there is none.
func commonLog(found []*piece) (id ID) {
	votes := map[ID]int{}
	for _, p := range found {
		if !p.lost {
			votes[p.seg.log]++
			if votes[p.seg.log] > votes[id] {
				id = p.seg.log
			}
		}
	}
	return id
}

func (sv *survey) stray(p *piece, reason error) {
	if p.file != "" {
		sv.strays = append(sv.strays, stray{p.file, reason})
	}
}

// link goes from the last segment backwards to what each header says comes
// before it.
func (sv *survey) link(found []*piece) error {
	cur, below := found[len(found)-1], found[:len(found)-1]
	switch d := sv.o.Durable.LSN; {
	case d <= cur.seg.limit():
	case d.Segment() == cur.seg.number:
		cur.wrong = damagef("it ends at %v, below the index's durable position %v", cur.seg.limit(), d)
		cur.makeRoom(d)
	default:
		below = found
		cur = sv.missing(d &^ (stride - 1))
		cur.makeRoom(d)
	}
	if err := sv.recallSeed(cur); err != nil {
		return err
	}
	for gap := 0; cur != nil; {
		sv.pieces = append(sv.pieces, cur)
		var prev *piece
		prev, below = sv.before(cur, below)
		if prev != nil {
			prev.next, cur.prev = cur, prev
			if cur.lost {
				cur.seg.prev = prev.seg.first
			}
			if err := sv.recallSeed(prev); err != nil {
				return err
			}
			if gap++; prev.file != "" {
				gap = 0
			}
		}
		if gap > gapMax {
			return fmt.Errorf("wal: more than %d segments are missing before %s: restore a backup", gapMax, cur.seg.name())
		}
		cur = prev
	}
	slices.Reverse(sv.pieces)
	for _, p := range sv.pieces {
		if p.lost {
			p.seg.floor = sv.floorOf(p)
		}
	}
	for _, p := range below {
		sv.stray(p, damage("no later segment follows it, and the log does not begin with it"))
	}
	return nil
}

// before returns the piece that comes before cur, nil if the log begins with cur,
// and what is below that.
func (sv *survey) before(cur *piece, below []*piece) (*piece, []*piece) {
	want := cur.seg.prev
	if cur.lost {
		want = sv.priorOf(cur, below)
	}
	if cur.seg.first == sv.begin {
		want = 0
	}
	for n := len(below); n > 0 && below[n-1].seg.first > want; n-- {
		sv.stray(below[n-1], damagef("segment %s says that %s comes before it", cur.seg.name(), segmentName(want)))
		below = below[:n-1]
	}
	n := len(below)
	switch {
	case want == 0:
		return nil, below
	case n > 0 && below[n-1].seg.first == want:
		return below[n-1], below[:n-1]
	}
	return sv.missing(want), below
}

// priorOf works out what comes before a piece whose header is lost: the next lower
// segment there is, or where the log begins, if the one can follow the other, else
// one that is missing between them.
func (sv *survey) priorOf(cur *piece, below []*piece) LSN {
	b := sv.begin
	if n := len(below); n > 0 {
		b = below[n-1].seg.first
	}
	switch number := cur.seg.number; {
	case b.Segment() == number, b.Segment()+1 == number && cur.seg.first.Offset() == 0:
		return b
	case cur.seg.first.Offset() != 0:
		return LSN(number << strideBits)
	default:
		return LSN((number - 1) << strideBits)
	}
}

// missing makes up a piece for which there is no file.
func (sv *survey) missing(first LSN) *piece {
	h := sv.madeUpHeader(first, 0)
	return &piece{seg: &segment{segmentHeader: h}, lost: true, wrong: damage("the segment is missing")}
}

// bounds returns where the piece must end and the chained checksum there. Without
// a next piece whose header says so, the end is zero or known from the next
// piece's address, and known is false.
func (p *piece) bounds() (end Position, known bool) {
	switch n := p.next; {
	case n == nil:
		return end, false
	case !n.lost:
		return n.seg.cut, true
	case n.seg.number == p.seg.number:
		return Position{LSN: n.seg.first}, false
	case p.file == "": // nobody knows where it ended: a group in its place says that something is gone
		return Position{LSN: p.seg.first + groupAlign}, false
	}
	return end, false
}

// makeRoom enlarges a piece that is wrong so that it reaches up to end.
func (p *piece) makeRoom(end LSN) {
	if p.wrong != nil && end > p.seg.limit() {
		p.seg.size = alignUp(segmentHeaderSize+int64(end-p.seg.first), segmentHeaderSize)
	}
}
