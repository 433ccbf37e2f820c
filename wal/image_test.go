package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// This file says what the damage tests expect, without the code under test: it
// reads a sound log's files by FORMAT.md's drawings alone, and then decides what
// recovery must make of the same files with bytes changed. It checks no checksum:
// what changed is known by comparison.

// image is a sound log, as its files lay on the disk before anything happened to
// them.
type image struct {
	disk *powerfs.FS // what ran is over, everything on it is synced
	segs []picture
	want []entry // all records, in order
}

// picture is one segment file and where everything stands in it.
type picture struct {
	name   string
	data   []byte
	first  LSN
	synced LSN // mark in the header
	groups []framed
}

// framed is one group in a file.
type framed struct {
	off, end int // in the file
	mark     LSN
	records  int
}

func (p *picture) lsn(off int) LSN { return p.first + LSN(off-4096) }

// used is where the last group ends.
func (p *picture) used() int {
	if n := len(p.groups); n > 0 {
		return p.groups[n-1].end
	}
	return 4096
}

// takePicture reads the segments of a disk.
func takePicture(t testing.TB, disk *powerfs.FS, want []entry) *image {
	t.Helper()
	im := &image{disk: disk}
	for _, name := range segmentNames(t, disk) {
		data, le := readFile(t, disk, name), binary.LittleEndian
		im.segs = append(im.segs, picture{
			name: name, data: data, first: LSN(le.Uint64(data[24:])), synced: LSN(le.Uint64(data[88:])),
		})
	}
	im.want = above(want, im.segs[0].first)
	records := 0
	for i := range im.segs {
		limit := len(im.segs[i].data)
		if i+1 < len(im.segs) {
			cut := LSN(binary.LittleEndian.Uint64(im.segs[i+1].data[72:]))
			limit = 4096 + int(cut-im.segs[i].first)
		}
		im.segs[i].frame(limit)
		for _, g := range im.segs[i].groups {
			records += g.records
		}
	}
	if records != len(im.want) {
		t.Fatalf("FORMAT.md's drawings find %d records, %d were written", records, len(im.want))
	}
	return im
}

// frame finds the groups below limit.
func (p *picture) frame(limit int) {
	le := binary.LittleEndian
	for off := 4096; off+48 <= limit; {
		h := p.data[off:]
		if string(h[:4]) != "TMWG" || LSN(le.Uint64(h[16:])) != p.lsn(off) {
			return
		}
		end := alignUp(off+48+int(le.Uint32(h[8:])), 512)
		p.groups = append(p.groups, framed{off, end, LSN(le.Uint64(h[24:])), int(le.Uint32(h[12:]))})
		off = end
	}
}

// verdict is what recovery must say.
type verdict struct {
	segment string // of the *CorruptionError; empty if the log must open
	offset  int64  // in it
	records int    // else: how many of the records are there
	cut     int64  // and what Recovery and the log line say was cut
}

// judge says what must become of the image when segment i differs as changed says
// of a range of its bytes.
//
// The oracle. A segment whose header changed, and a group of a segment with a
// successor that changed, is damage: the successor's header proves that it was
// durable. In the last segment the highest surviving mark decides: the header's
// and those of all groups whose header, 48 bytes, did not change, beyond a gap as
// well. A changed group below it is damage, and named by its place. Above it the
// groups before the first changed one stay, and the rest is cut, counted to the
// end of the last group whose header can still be read. Bytes that belong to no
// group mean nothing.
func (im *image) judge(i int, changed func(lo, hi int) bool) verdict {
	p := &im.segs[i]
	if changed(0, 4096) {
		return verdict{segment: p.name}
	}
	bad, highest, readable := -1, p.synced, 0
	for j, g := range p.groups {
		if !changed(g.off, g.off+48) {
			highest, readable = max(highest, g.mark), g.end
		}
		if bad < 0 && changed(g.off, g.end) {
			bad = j
		}
	}
	if bad < 0 {
		return verdict{records: len(im.want)}
	}
	at := p.groups[bad].off
	if i < len(im.segs)-1 || p.lsn(at) < highest {
		return verdict{segment: p.name, offset: int64(at)}
	}
	v := verdict{records: len(im.want), cut: int64(max(0, readable-at))}
	for _, g := range p.groups[bad:] {
		v.records -= g.records
	}
	return v
}

// differs is a changed for judge: where now is not what the picture shows.
func (p *picture) differs(now []byte) func(lo, hi int) bool {
	return func(lo, hi int) bool { return !bytes.Equal(p.data[lo:hi], now[lo:hi]) }
}

// author writes the log of an image.
type author struct {
	t    testing.TB
	disk *powerfs.FS
	rng  *rand.Rand
	log  *Log
	want []entry
}

func newAuthor(t testing.TB, seed uint64, o func(*Options)) *author {
	t.Helper()
	a := &author{t: t, disk: powerfs.New(), rng: newRNG(seed)}
	opts := smallOptions(a.disk)
	opts.Manual, opts.Reserve, opts.Rand = true, -1, rngReader{a.rng}
	if o != nil {
		o(&opts)
	}
	a.log = mustOpen(t, opts)
	return a
}

// group appends one group of these payloads; in interval mode it stays unsynced.
func (a *author) group(payloads ...[]byte) {
	a.t.Helper()
	var last Ticket
	for _, p := range payloads {
		tk, err := reserve(a.log, len(p), false)
		if err != nil {
			a.t.Fatal(err)
		}
		copy(tk.Buf, p)
		a.log.Done(&tk)
		a.want = append(a.want, entry{tk.LSN, bytes.Clone(p)})
		last = tk
	}
	if err := a.log.Wait(&last); err != nil {
		a.t.Fatal(err)
	}
}

// fill appends groups until the log has n segments and the last one is used up to
// the given place: small groups of a few records, and now and then one that
// imitates the log itself.
func (a *author) fill(segments, used int) {
	a.t.Helper()
	for n := 0; ; n++ {
		p := a.newest()
		if len(segmentNames(a.t, a.disk)) == segments && p.used() >= used {
			return
		}
		if n%12 == 2 {
			a.group(p.imitation(a.rng))
			continue
		}
		var group [][]byte
		for range 1 + a.rng.IntN(6) {
			p := payload(a.rng.IntN(1 << 20))
			group = append(group, p[:min(len(p), 8+a.rng.IntN(120))])
		}
		a.group(group...)
	}
}

// newest returns what the log's last segment holds at the moment.
func (a *author) newest() picture {
	a.t.Helper()
	names := segmentNames(a.t, a.disk)
	p := picture{data: readFile(a.t, a.disk, names[len(names)-1])}
	p.first = LSN(binary.LittleEndian.Uint64(p.data[24:]))
	p.frame(len(p.data))
	return p
}

// imitation returns a body for the next group that repeats, where groups may
// begin, what stands in the segment already: a whole sound group of the very same
// identity, a header that claims its own place and a high mark, and a segment's
// first page. The rest is noise: see FORMAT.md for what two bodies that differ in
// nothing but such headers could do.
func (p *picture) imitation(rng *rand.Rand) []byte {
	body := make([]byte, 3*512+4096-rng.IntN(400))
	for i := range body {
		body[i] = byte(rng.Uint32())
	}
	at := 512 - 48 - 8 // where in a body the next place for a group is
	copy(body[at:], p.data[4096:][:512])
	forged := body[at+512:]
	copy(forged, p.data[4096:][:48])
	le := binary.LittleEndian
	le.PutUint64(forged[16:], uint64(p.lsn(p.used()+1024)))
	le.PutUint64(forged[24:], uint64(p.lsn(p.used()+1024)))
	le.PutUint32(forged[44:], crc32.Checksum(forged[:44], castagnoli)) // all but the identity
	copy(body[at+1024:], p.data[:4096])
	return body
}

// finish ends the process, everything written being on the disk, and returns the
// image.
func (a *author) finish() *image {
	a.t.Helper()
	return takePicture(a.t, a.disk.Cut(0, 100, 512), a.want)
}

// sealedImage is a log of a full segment and a successor, cleanly closed.
func sealedImage(t testing.TB) *image {
	t.Helper()
	a := newAuthor(t, 11, nil)
	a.fill(2, 4096+2048)
	mustClose(t, a.log)
	return a.finish()
}

// crashedImage is a log of one segment, nearly full, of which the last quarter
// lies above the highest mark: groups that were written and not synced.
func crashedImage(t testing.TB) *image {
	t.Helper()
	a := newAuthor(t, 12, func(o *Options) { o.SyncInterval = 1 << 40 })
	for used := 8192; used <= 44<<10; used += 4096 {
		a.fill(1, used)
		if err := a.log.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.log.WriteMark(); err != nil {
		t.Fatal(err)
	}
	a.fill(1, 56<<10)
	return a.finish()
}
