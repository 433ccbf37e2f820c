package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"
)

// chainImage is a log of four segments of every kind: two that were filled, one
// that a recovery made in the middle of its predecessor's address space, and the
// one that a clean start went on in.
func chainImage(t testing.TB) *image {
	t.Helper()
	a := newAuthor(t, 21, nil)
	a.fill(2, 20<<10)
	a.group(payload(40), payload(41)) // above the highest mark: the next start moves it
	o := a.log.opts
	a.log = mustOpen(t, o)
	a.fill(3, 12<<10)
	mustClose(t, a.log)
	a.log = mustOpen(t, o)
	a.fill(4, 12<<10)
	mustClose(t, a.log)
	im := a.finish()
	if im.segs[2].first.Segment() != im.segs[1].first.Segment() {
		t.Fatal("no segment of the image was made by a recovery in the middle of another")
	}
	return im
}

// flooredImage is a log of four segments that begins at a floor, which the last two
// tell. What is written in them stands in files that were other segments before.
func flooredImage(t testing.TB) *image {
	t.Helper()
	a := newAuthor(t, 22, nil)
	a.fill(3, 12<<10)
	if err := a.log.SetFloor(a.log.Segments()[1].First); err != nil {
		t.Fatal(err)
	}
	for segments := range 2 {
		if err := a.log.Rotate(); err != nil {
			t.Fatal(err)
		}
		a.fill(3+segments, 12<<10)
	}
	if a.log.Stats().Recycled == 0 {
		t.Fatal("no file was recycled")
	}
	mustClose(t, a.log)
	return a.finish()
}

// wreck is one thing that can happen to whole files.
type wreck struct {
	what string
	harm func(f files)
	// blame are the files of which the error may name one; nil: the log must open
	// with the records below.
	blame []string
	below LSN // zero: with all of them
}

// lengths are sizes that a cut file may have: around every border there is.
func (p *picture) lengths() []int {
	g := p.groups[len(p.groups)/2]
	size := len(p.data)
	return []int{
		0, 1, 7, 8, 100, 511, 512, 4095, 4096, 4097, 4096 + 48, 4096 + 512, g.off, g.off + 1, g.off + 48,
		g.end - 1, g.end, p.used() - 1, p.used(), size - 4096, size - 512, size - 1,
	}
}

// resized are the wrecks of one file of another length.
func resized(p *picture) []wreck {
	var all []wreck
	add := func(n int, data []byte) {
		all = append(all, wreck{
			what: fmt.Sprintf("%s has %d bytes", p.name, n), blame: []string{p.name},
			harm: func(f files) { f[p.name] = data },
		})
	}
	for _, n := range p.lengths() {
		if n < len(p.data) { // a segment may be used to its last byte
			add(n, p.data[:n])
		}
	}
	for _, more := range []int{1, 512, 4096, len(p.data)} {
		add(len(p.data)+more, append(slices.Clone(p.data), make([]byte, more)...))
		add(len(p.data)+more, append(slices.Clone(p.data), p.data[:more]...))
	}
	return all
}

// moved are the wrecks of names: swapped, copied, renamed and missing files.
func (im *image) moved() []wreck {
	var all []wreck
	last := len(im.segs) - 1
	free := segmentName(LSN(im.segs[last].first.Segment()+1) << strideBits)
	inside := segmentName(im.segs[0].first + 512)
	for i := range im.segs {
		p := &im.segs[i]
		for j := range im.segs {
			q := &im.segs[j]
			if i < j {
				all = append(all, wreck{
					what: p.name + " and " + q.name + " swapped", blame: []string{p.name, q.name},
					harm: func(f files) { f[p.name], f[q.name] = q.data, p.data },
				})
			}
			if i != j {
				all = append(all, wreck{
					what: p.name + " copied over " + q.name, blame: []string{q.name},
					harm: func(f files) { f[q.name] = p.data },
				})
			}
		}
		for _, name := range []string{free, inside, "1.seg", "x.seg", strings.Repeat("9", 20) + ".seg", strings.Repeat("9", 21) + ".seg"} {
			all = append(all, wreck{
				what: p.name + " copied to " + name, blame: []string{name},
				harm: func(f files) { f[name] = p.data },
			})
			all = append(all, wreck{
				what: p.name + " renamed to " + name, blame: []string{name, im.segs[min(i+1, last)].name},
				harm: func(f files) { f[name] = p.data; delete(f, p.name) },
			})
		}
		all = append(all, im.missing(i))
	}
	return all
}

// missing is the wreck of one segment that is not there. The oldest is named by the
// next header or by the floor, another by its successor. Nothing but the index can
// tell that there was another behind the last.
func (im *image) missing(i int) wreck {
	p := &im.segs[i]
	w := wreck{what: p.name + " missing", harm: func(f files) { delete(f, p.name) }}
	switch i {
	case 0:
		w.blame = []string{p.name}
	case len(im.segs) - 1:
		w.below = p.first
	default:
		w.blame = []string{im.segs[i+1].name}
	}
	return w
}

// replaced are the wrecks of one file that holds something else, whole.
func (im *image) replaced(t testing.TB, i int) []wreck {
	p := &im.segs[i]
	with := func(what string, data []byte) wreck {
		return wreck{what: p.name + " is " + what, blame: []string{p.name}, harm: func(f files) { f[p.name] = data }}
	}
	foreign := load(t, newAuthor(t, 99, nil).disk)[segmentName(firstLSN)]
	edited := p.edited
	zeros := make([]byte, len(p.data))
	all := []wreck{
		with("zeros", zeros),
		with("its header alone", append(slices.Clone(p.data[:4096]), zeros[4096:]...)),
		with("its data alone", append(slices.Clone(zeros[:4096]), p.data[4096:]...)),
		with("of another log", edited(func(h []byte) { h[40] ^= 1 })),
		with("another log's", foreign),
		with("of version 0", edited(func(h []byte) { binary.LittleEndian.PutUint32(h[8:], 0) })),
		with("of the next number", edited(func(h []byte) { h[32]++ })),
	}
	if i == len(im.segs)-1 && p.synced == p.first {
		all[1].blame, all[1].below = nil, p.first // nothing is left that tells of more (FORMAT.md)
	}
	if i == 0 {
		// Of the first segment the next one says that it is of another log.
		all[3].blame = []string{im.segs[1].name}
		if p.first == firstLSN {
			all[4].blame = all[3].blame
		}
	}
	return all
}

// edited is the segment with another header, which is sound.
func (p *picture) edited(edit func(header []byte)) []byte {
	data := slices.Clone(p.data)
	edit(data[:4096])
	binary.LittleEndian.PutUint32(data[4092:], crc32.Checksum(data[:4092], castagnoli))
	return data
}

// floors are the wrecks of a floored image's floor, and files below it, which may
// hold anything.
func (im *image) floors() []wreck {
	var all []wreck
	first, last := &im.segs[0], &im.segs[len(im.segs)-1]
	floor := func(i int, what string, lsn LSN, blame string) {
		p := &im.segs[i]
		data := p.edited(func(h []byte) { binary.LittleEndian.PutUint64(h[104:], uint64(lsn)) })
		all = append(all, wreck{
			what: fmt.Sprintf("%s says that the log begins %s", p.name, what), blame: []string{blame},
			harm: func(f files) { f[p.name] = data },
		})
	}
	floor(3, "at its start", 1<<strideBits, segmentName(1<<strideBits))
	floor(3, "in the middle of the first", first.first+512, segmentName(first.first+512))
	floor(3, "at itself", last.first, last.name)
	floor(3, "behind itself", last.first+1<<strideBits, last.name)
	floor(2, "at the second, and the next at the first", im.segs[1].first, last.name)
	for what, data := range map[string][]byte{
		"nothing": nil, "zeros": make([]byte, len(last.data)), "half of a segment": first.data[:len(first.data)/2],
		"the last segment": last.data, "the first": first.data, "noise": bytes.Repeat([]byte("noise"), 10000),
	} {
		all = append(all, wreck{
			what: "a file below the floor holds " + what,
			harm: func(f files) { f[segmentName(firstLSN)] = data; f[segmentName(firstLSN+512)] = data },
		})
	}
	return all
}

// check wrecks the files, opens the log and says what is wrong with the outcome.
func (w *wreck) check(t testing.TB, im *image) error {
	f := files{}
	for i := range im.segs {
		f[im.segs[i].name] = slices.Clone(im.segs[i].data)
	}
	w.harm(f)
	disk := f.store(t)
	got, err := im.outcome(disk, false)
	if err != nil {
		return err
	}
	if w.blame != nil {
		if !slices.Contains(w.blame, got.segment) {
			return fmt.Errorf("recovery says %+v, want it to blame %v", got, w.blame)
		}
		if name := f.diff(load(t, disk)); name != "" {
			return fmt.Errorf("the Open that failed changed %s", name)
		}
		return nil
	}
	want := verdict{}
	for _, e := range im.want {
		if w.below == 0 || e.lsn < w.below {
			want.records++
		}
	}
	if got != want {
		return fmt.Errorf("recovery says %+v, want %+v", got, want)
	}
	return nil
}

// TestWreckedFiles breaks whole files in every way that names, sizes and headers
// can tell.
func TestWreckedFiles(t *testing.T) {
	chain, floored := chainImage(t), flooredImage(t)
	for name, im := range map[string]*image{"chain": chain, "floored": floored} {
		t.Run(name, func(t *testing.T) {
			all := im.moved()
			for i := range im.segs {
				all = append(all, resized(&im.segs[i])...)
				all = append(all, im.replaced(t, i)...)
			}
			if im == floored {
				all = append(all, im.floors()...)
			}
			for i := range all {
				if err := all[i].check(t, im); err != nil {
					t.Errorf("%s: %v", all[i].what, err)
				}
			}
			t.Logf("%d wrecks", len(all))
		})
	}
}

// TestIndexKnowsBetter: what names and headers cannot tell, the index's durable
// position does (W6): a log without its last segment, or with an older copy of
// it, or without any, is damage.
func TestIndexKnowsBetter(t *testing.T) {
	im := chainImage(t)
	o := smallOptions(im.disk.Cut(0, 100, 512))
	o.Manual, o.Reserve = true, -1
	l := mustOpen(t, o)
	o.Durable = l.Durable()
	mustClose(t, l)
	last := &im.segs[len(im.segs)-1]
	older := slices.Clone(last.data)
	clear(older[last.groups[len(last.groups)-3].off:])
	for what, harm := range map[string]func(f files){
		"the last segment is missing":              func(f files) { delete(f, last.name) },
		"the last segment is an older copy":        func(f files) { f[last.name] = older },
		"all segments are missing":                 func(f files) { clear(f) },
		"the last segment is there, and no others": func(f files) { maps.DeleteFunc(f, func(name string, _ []byte) bool { return name != last.name }) },
	} {
		f := load(t, im.disk)
		harm(f)
		o.FS = f.store(t)
		_, err := Open(o)
		if ce, ok := errors.AsType[*CorruptionError](err); !ok || ce.Hint == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	o.FS = im.disk
	mustClose(t, mustOpen(t, o))
}

// TestVersions: a segment of a later version is refused, wherever it stands, and
// the error names both versions and the way on.
func TestVersions(t *testing.T) {
	im := chainImage(t)
	for i := range im.segs {
		for _, v := range []uint32{formatVersion + 1, 1 << 31} {
			f := load(t, im.disk)
			page := f[im.segs[i].name][:4096]
			binary.LittleEndian.PutUint32(page[8:], v)
			binary.LittleEndian.PutUint32(page[4092:], crc32.Checksum(page[:4092], castagnoli))
			o := smallOptions(f.store(t))
			_, err := Open(o)
			ve, ok := errors.AsType[*VersionError](err)
			if !ok || ve.Segment != im.segs[i].name || ve.Found != v || ve.Supported != formatVersion {
				t.Fatalf("%v", err)
			}
			for _, part := range []string{im.segs[i].name, fmt.Sprint(v), fmt.Sprint(formatVersion), "start the version that wrote it"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
		}
	}
}
