package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// Exhaustive damage on small logs: every bit, every sector, every file. The oracle
// is judge's (image_test.go). Below the highest surviving mark everything can be
// read, or Open fails with a *CorruptionError that names segment and offset and
// says what to do; above it the exact prefix is kept, and Recovery and a line of
// the log tell how many bytes were cut. Never another body, never a panic.

// outcome is what became of a log: comparable with a verdict. With replayChecks the damage of
// all segments but the last is Replay's to find (Options.ReplayChecks).
func (im *image) outcome(disk *powerfs.FS, replayChecks bool) (verdict, error) {
	lines := &cutLines{}
	o := smallOptions(disk)
	o.Manual, o.Reserve, o.Rand, o.Logger, o.ReplayChecks = true, -1, seeded(1), slog.New(lines), replayChecks
	l, err := Open(o)
	if v, ok := refused(err); ok {
		return v, nil
	} else if err != nil {
		return verdict{}, fmt.Errorf("open: %w", err)
	}
	defer l.readers.close()
	v := verdict{cut: l.Recovery().CutBytes}
	err = l.Replay(0, func(g *Group) error {
		return g.Each(func(lsn LSN, p []byte) error {
			if v.records == len(im.want) || im.want[v.records].lsn != lsn || !bytes.Equal(im.want[v.records].payload, p) {
				return fmt.Errorf("record %d, at %v, %d bytes: this was never written there", v.records, lsn, len(p))
			}
			v.records++
			return nil
		})
	})
	if damaged, ok := refused(err); ok && replayChecks {
		return damaged, nil
	} else if err != nil {
		return v, fmt.Errorf("replay: %w", err)
	}
	if lines.bytes != v.cut {
		return v, fmt.Errorf("the log line tells of %d bytes cut, Recovery of %d", lines.bytes, v.cut)
	}
	return v, nil
}

// refused is the verdict that an error about damage gives.
func refused(err error) (verdict, bool) {
	ce, ok := errors.AsType[*CorruptionError](err)
	if !ok || blamed(ce) == "" || ce.Hint == "" || ce.Err == nil {
		return verdict{}, false
	}
	return verdict{segment: blamed(ce), offset: ce.Offset}, true
}

// blamed is the file at fault: the one that is damaged, or in an error about files
// that are missing the first that it names.
func blamed(ce *CorruptionError) string {
	if ce.Segment != "" {
		return ce.Segment
	}
	return segmentFile.FindString(ce.Error())
}

var segmentFile = regexp.MustCompile(`\d{20}\.seg`)

// cutLines finds the line of a cut tail.
type cutLines struct{ bytes int64 }

func (c *cutLines) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (c *cutLines) WithAttrs([]slog.Attr) slog.Handler           { return c }
func (c *cutLines) WithGroup(string) slog.Handler                { return c }
func (c *cutLines) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "bytes" {
			c.bytes += a.Value.Int64()
		}
		return true
	})
	return nil
}

// harm is an image on a disk of its own, in which one worker damages segment after
// segment and puts things right again.
type harm struct {
	*image
	disk  *powerfs.FS
	pokes []func(data []byte, off int) // by segment
}

func (im *image) harm(t testing.TB) *harm {
	h := &harm{image: im, disk: im.disk.Cut(0, 100, 512)}
	for i := range im.segs {
		h.pokes = append(h.pokes, poker(t, h.disk, im.segs[i].name))
	}
	return h
}

// try damages segment i as told, holds what recovery says against the judge, and
// undoes the damage.
func (h *harm) try(i, off int, now []byte, changed func(lo, hi int) bool) (verdict, error) {
	want := h.judge(i, changed)
	h.pokes[i](now, off)
	defer h.pokes[i](h.segs[i].data[off:off+len(now)], off)
	disk := h.disk
	if want.segment == "" {
		disk = disk.Cut(0, 100, 512) // an Open that fails changes nothing; one that goes well does
	}
	got, err := h.outcome(disk, false)
	if err == nil && got != want {
		err = fmt.Errorf("recovery says %+v, want %+v", got, want)
	}
	if err == nil && i < len(h.segs)-1 && off%4 == 0 {
		err = h.tryReplay(want)
	}
	return want, err
}

// tryReplay has the replay find what recovery would have found. It comes too late to change
// nothing: the log goes on in a fresh segment by then.
func (h *harm) tryReplay(want verdict) error {
	got, err := h.outcome(h.disk.Cut(0, 100, 512), true)
	if err == nil && got != want {
		err = fmt.Errorf("the replay says %+v, want %+v", got, want)
	}
	return err
}

// span is a changed for judge: the bytes from lo to hi are not what they were.
func span(from, to int) func(lo, hi int) bool {
	return func(lo, hi int) bool { return lo < to && from < hi }
}

// tally counts verdicts.
type tally struct{ refused, cut, intact atomic.Int64 }

func (c *tally) add(im *image, v verdict) {
	switch {
	case v.segment != "":
		c.refused.Add(1)
	case v.records < len(im.want):
		c.cut.Add(1)
	default:
		c.intact.Add(1)
	}
}

func (c *tally) String() string {
	refused, cut, intact := c.refused.Load(), c.cut.Load(), c.intact.Load()
	return fmt.Sprintf("%d: %d refused, %d cut to the exact prefix, %d did not matter", refused+cut+intact, refused, cut, intact)
}

// parallel calls fn with 0 to n-1, and with a harm that belongs to the caller.
func (im *image) parallel(t *testing.T, n int, fn func(h *harm, k int) error) {
	t.Helper()
	inParallel(t, n, func() func(int) error {
		h := im.harm(t)
		return func(k int) error { return fn(h, k) }
	})
}

// eachImage runs a test on all images.
func eachImage(t *testing.T, fn func(t *testing.T, im *image)) {
	t.Run("sealed", func(t *testing.T) { fn(t, sealedImage(t)) })
	t.Run("crashed", func(t *testing.T) { fn(t, crashedImage(t)) })
	t.Run("floored", func(t *testing.T) { fn(t, flooredImage(t)) })
}

// TestBitFlips flips one bit, drawn from a seed, of every byte of the first
// segment up to the end of its last group and of a sample of the bytes behind; every
// seventh of a floored log, which differs in its headers. With WAL_ALL_BITS set it
// flips every bit there is: 524,288 of each image.
func TestBitFlips(t *testing.T) {
	eachImage(t, func(t *testing.T, im *image) {
		bits := im.someBits()
		if os.Getenv("WAL_ALL_BITS") != "" {
			bits = upTo(8 * len(im.segs[0].data))
		}
		var count tally
		im.parallel(t, len(bits), func(h *harm, k int) error {
			off, bit := bits[k]/8, bits[k]%8
			v, err := h.try(0, off, []byte{h.segs[0].data[off] ^ 1<<bit}, span(off, off+1))
			if err != nil {
				return fmt.Errorf("bit %d of byte %d flipped: %w", bit, off, err)
			}
			count.add(im, v)
			return nil
		})
		t.Logf("bit flips: %s", &count)
	})
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// someBits is TestBitFlips' sample.
func (im *image) someBits() []int {
	rng, step := newRNG(1), 1
	if raceEnabled {
		step = 13
	} else if im.segs[0].first != firstLSN {
		step = 7
	}
	var bits []int
	for off := 0; off < len(im.segs[0].data); off += step {
		if off >= im.segs[0].used() {
			step = 61
		}
		bits = append(bits, 8*off+rng.IntN(8))
	}
	return bits
}

// patch is new content for one stretch of a segment.
type patch struct {
	seg, off int
	data     []byte
	what     string
}

// patches are all the ways in which one block of the image, at a grain, can hold
// something else: zeros, ones, noise, another block of this segment or of another.
func (im *image) patches(grain int, rng *rand.Rand) []patch {
	ones, noise := make([]byte, grain), make([]byte, grain)
	for i := range ones {
		ones[i], noise[i] = 0xff, byte(rng.Uint32())
	}
	var all []patch
	for s := range im.segs {
		data := im.segs[s].data
		for off := 0; off < len(data); off += grain {
			stale := data[4096+rng.IntN(im.segs[s].used()-4096)/grain*grain:][:grain]
			other := im.segs[rng.IntN(len(im.segs))].data[off:][:grain]
			all = append(all,
				patch{s, off, make([]byte, grain), "zeros"}, patch{s, off, ones, "ones"}, patch{s, off, noise, "noise"},
				patch{s, off, stale, "another block of the segment"}, patch{s, off, other, "the block of another segment"})
		}
	}
	return all
}

// TestSectors replaces every sector and every page of all segments.
func TestSectors(t *testing.T) {
	eachImage(t, func(t *testing.T, im *image) {
		for _, grain := range []int{512, 4096} {
			patches := im.patches(grain, newRNG(1))
			var count tally
			im.parallel(t, len(patches), func(h *harm, k int) error {
				p := patches[k]
				orig := h.segs[p.seg].data
				now := slices.Clone(orig)
				copy(now[p.off:], p.data)
				v, err := h.try(p.seg, p.off, p.data, h.segs[p.seg].differs(now))
				if err != nil {
					return fmt.Errorf("%d bytes at %d of %s hold %s: %w", grain, p.off, h.segs[p.seg].name, p.what, err)
				}
				count.add(im, v)
				return nil
			})
			t.Logf("blocks of %d bytes: %s", grain, &count)
		}
	})
}

// TestStaleTail is what a power cut leaves: any of the blocks above the mark, and
// any number of them, hold what was there before, zeros or an earlier use of the
// file, at both grains.
func TestStaleTail(t *testing.T) {
	im := crashedImage(t)
	former := sealedImage(t).segs[0].data // of another identity
	seg := &im.segs[0]
	marked := seg.synced
	for _, g := range seg.groups {
		marked = max(marked, g.mark)
	}
	var count tally
	im.parallel(t, 2000, func(h *harm, k int) error {
		rng := newRNG(uint64(k))
		grain, percent := []int{512, 4096}[k%2], []int{1, 10, 50, 90, 100}[k/2%5]
		now := slices.Clone(seg.data)
		from := 4096 + int(marked-seg.first)
		for off := alignUp(from, grain); off < len(now); off += grain {
			if rng.IntN(100) < percent {
				copy(now[off:off+grain], [][]byte{make([]byte, grain), former[off : off+grain]}[rng.IntN(2)])
			}
		}
		v, err := h.try(0, from, now[from:], seg.differs(now))
		if err == nil && v.segment != "" {
			err = fmt.Errorf("damage, where only what is above the mark was changed: %+v", v)
		}
		if err != nil {
			return fmt.Errorf("case %d, %d %% of the blocks of %d bytes above the mark are stale: %w", k, percent, grain, err)
		}
		count.add(im, v)
		return nil
	})
	t.Logf("stale tails: %s", &count)
}

// TestRefusalChangesNothing: an Open that fails leaves the evidence alone, and
// what is put right again opens.
func TestRefusalChangesNothing(t *testing.T) {
	im := sealedImage(t)
	h := im.harm(t)
	for i := range im.segs {
		for off := 0; off < im.segs[i].used(); off += 4096 {
			now := im.segs[i].data[off] ^ 1
			h.pokes[i]([]byte{now}, off)
			before := load(t, h.disk)
			if v, err := h.outcome(h.disk, false); err != nil || v.segment == "" {
				t.Fatalf("byte %d of %s: %+v, %v", off, im.segs[i].name, v, err)
			}
			if d := before.diff(load(t, h.disk)); d != "" {
				t.Fatalf("byte %d of %s damaged, and Open changed %s", off, im.segs[i].name, d)
			}
			h.pokes[i](im.segs[i].data[off:off+1], off)
		}
	}
	if v, err := h.outcome(h.disk, false); err != nil || v.records != len(im.want) {
		t.Fatalf("put right again: %+v, %v", v, err)
	}
}

// TestReadNeverLies opens logs with damage that only Read can meet, as below the
// index's durable position (W7): each record is what was written, or the error
// names segment and place, and one damaged sector costs the records in it alone.
func TestReadNeverLies(t *testing.T) {
	im := sealedImage(t)
	o := smallOptions(im.disk.Cut(0, 100, 512))
	o.Manual, o.Reserve = true, -1
	l := mustOpen(t, o)
	o.Durable = l.Durable()
	mustClose(t, l)
	seg := &im.segs[0]
	for off := 4096; off < seg.used(); off += 512 {
		disk := im.disk.Cut(0, 100, 512)
		poker(t, disk, seg.name)(make([]byte, 512), off)
		o.FS = disk
		l := mustOpen(t, o)
		for _, e := range im.want {
			at := 4096 + int(e.lsn-seg.first)
			hit := e.lsn < im.segs[1].first && span(off, off+512)(at, at+8+len(e.payload))
			got, err := l.Read(e.lsn, len(e.payload), nil)
			ce, corrupt := errors.AsType[*CorruptionError](err)
			switch {
			case err == nil && string(got) == string(e.payload) && (!hit || allZero(seg.data[off:off+512])):
			case corrupt && hit && ce.Segment == seg.name && ce.Offset == int64(at):
			default:
				t.Fatalf("sector at %d is lost; record at %d: %v", off, at, err)
			}
		}
		mustClose(t, l)
	}
}

// TestDamageIsReadAsDamage flips a bit under a running log.
func TestDamageIsReadAsDamage(t *testing.T) {
	disk, want := sampleLog(t)
	o := smallOptions(disk)
	o.Manual = true
	l := mustOpen(t, o)
	defer mustClose(t, l)
	list := *l.segments.Load()
	for _, e := range want {
		seg := list[list.find(e.lsn)]
		off := int(seg.offset(e.lsn)) + recordHeaderSize + 3
		poker(t, disk, seg.name())([]byte{e.payload[3] ^ 4}, off)
		_, err := l.Read(e.lsn, len(e.payload), nil)
		ce, ok := errors.AsType[*CorruptionError](err)
		if !ok || ce.Segment != seg.name() || ce.Offset != seg.offset(e.lsn) {
			t.Fatalf("read %v: %v", e.lsn, err)
		}
	}
}

// TestRefusedReplaysDoNotPile: a server that is started again and again on a log whose
// replay finds damage leaves the evidence alone and takes no more room each time.
func TestRefusedReplaysDoNotPile(t *testing.T) {
	im := sealedImage(t)
	h := im.harm(t)
	const off = segmentHeaderSize + groupHeaderSize
	h.pokes[0]([]byte{im.segs[0].data[off] ^ 1}, off)
	damaged := load(t, h.disk)
	var after files
	for start := range 6 {
		o := smallOptions(h.disk)
		o.Manual, o.Reserve, o.ReplayChecks = true, -1, true
		l := mustOpen(t, o)
		if _, ok := refused(l.Replay(0, func(*Group) error { return nil })); !ok {
			t.Fatal("the damage was not found")
		}
		mustClose(t, l)
		now := load(t, h.disk)
		for name, data := range damaged {
			if !bytes.Equal(now[name], data) {
				t.Errorf("start %d changed %s", start, name)
			}
		}
		if start > 1 && len(now) != len(after) { // the first takes a segment to go on in, the second a spare
			t.Errorf("start %d: %d files, %d after the one before", start, len(now), len(after))
		}
		after = now
	}
}
