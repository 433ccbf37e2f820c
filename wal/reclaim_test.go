package wal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// fill appends n records, each a third of a segment.
func fill(t testing.TB, l *Log, n int) (entries []entry) {
	t.Helper()
	for i := range n {
		p := make([]byte, 20<<10)
		copy(p, payload(i+3))
		lsn, err := l.Append(p)
		if err != nil {
			t.Fatalf("append: %v", err)
		}
		entries = append(entries, entry{lsn, p})
	}
	return entries
}

// giveUp sets the floor to the segment at index i, or from the end if i is
// negative, and rotates.
func giveUp(t testing.TB, l *Log, i int) LSN {
	t.Helper()
	segs := l.Segments()
	if i < 0 {
		i += len(segs)
	}
	if err := l.SetFloor(segs[i].First); err != nil {
		t.Fatalf("set floor: %v", err)
	}
	if err := l.Rotate(); err != nil {
		t.Fatalf("rotate: %v", err)
	}
	return segs[i].First
}

// above returns the entries at or above lsn.
func above(entries []entry, lsn LSN) []entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.lsn < lsn })
}

func spareNames(t testing.TB, disk vfs.FS) []string {
	t.Helper()
	names, err := disk.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, spareSuffix) })
}

// TestReclaim gives up segment after segment of a log that goes on: what is above
// the floor stays, over restarts too, what is below is gone, the disk does not grow
// and files are used again.
func TestReclaim(t *testing.T) {
	for _, manual := range []bool{true, false} {
		disk := powerfs.New()
		o := smallOptions(disk)
		o.Manual, o.Reserve = manual, 1
		l := mustOpen(t, o)
		var all []entry
		var recycled, removed uint64
		for round := range 5 {
			all = append(all, fill(t, l, 10)...)
			floor := giveUp(t, l, -2)
			if l.First() != floor {
				t.Fatalf("round %d: the log begins at %v, the floor is %v", round, l.First(), floor)
			}
			for _, e := range all {
				_, err := l.Read(e.lsn, len(e.payload), nil)
				if want := e.lsn < floor; want != errors.Is(err, ErrNotFound) || !want && err != nil {
					t.Fatalf("round %d: read %v with the floor at %v: %v", round, e.lsn, floor, err)
				}
			}
			all = above(all, floor)
			st := l.Stats()
			if names := segmentNames(t, disk); len(names) != st.Segments || st.HeldBytes != 0 || len(names) > 4 {
				t.Fatalf("round %d: segments %v, %+v", round, names, st)
			}
			if st.Reclaimed != (st.Recycled+st.Removed)*minSegmentSize || st.SegmentBytes != int64(st.Segments)*minSegmentSize {
				t.Fatalf("round %d: %+v", round, st)
			}
			recycled, removed = recycled+st.Recycled, removed+st.Removed
			mustClose(t, l)
			if n := len(spareNames(t, disk)); n > l.spares.most() {
				t.Fatalf("round %d: %d spares, the pool holds %d", round, n, l.spares.most())
			}
			o.Durable = l.Durable()
			l = mustOpen(t, o)
			if d := diff(replayAll(t, l), all); d != "" {
				t.Fatalf("round %d: %s", round, d)
			}
		}
		mustClose(t, l)
		if recycled+removed < 10 || manual && recycled == 0 {
			t.Errorf("manual=%v: %d recycled, %d removed", manual, recycled, removed)
		}
	}
}

// TestRecycleSyncIsFinal: a directory that cannot be synced when a file is recycled
// is the end of the log (W8), also if the disk says that it is full. As a shortage of
// room it would pass, with a rename of which nobody knows whether it is on the disk.
func TestRecycleSyncIsFinal(t *testing.T) {
	for _, cause := range []error{errInjected, syscall.ENOSPC, syscall.EDQUOT} {
		disk := powerfs.New()
		o := reclaimOptions(disk)
		l := mustOpen(t, o)
		all := fill(t, l, 10)
		list := l.Segments()
		if err := l.SetFloor(list[len(list)-1].First); err != nil {
			t.Fatal(err)
		}
		before, failed := "", false
		disk.SetFault(func(op, name string) error {
			recycles := op == "Rename" && strings.HasSuffix(before, segmentSuffix)
			failed = failed || recycles
			before = name
			if failed && op == "Sync" && name == testDir {
				return cause
			}
			return nil
		})
		if err := l.Rotate(); !errors.Is(err, ErrPoisoned) || !errors.Is(err, cause) || !failed {
			t.Errorf("rotate: %v, recycled: %v", err, failed)
		}
		if err := l.Close(); !errors.Is(err, ErrPoisoned) {
			t.Errorf("close: %v", err)
		}
		disk.SetFault(nil)
		o.FS = disk.Cut(1, 0, 512)
		l = mustOpen(t, o)
		if d := diff(replayAll(t, l), above(all, l.First())); d != "" {
			t.Error(d)
		}
		mustClose(t, l)
	}
}

// TestSetFloor: a floor is where a segment begins, it never falls, and it takes
// effect with the next segment.
func TestSetFloor(t *testing.T) {
	o := smallOptions(powerfs.New())
	o.Manual = true
	l := mustOpen(t, o)
	defer mustClose(t, l)
	all := fill(t, l, 12)
	segs := l.Segments()
	for _, lsn := range []LSN{all[5].lsn, segs[2].First + groupAlign, segs[len(segs)-1].First + 1<<strideBits} {
		if err := l.SetFloor(lsn); !errors.Is(err, ErrNotFound) {
			t.Errorf("floor %v: %v, want ErrNotFound", lsn, err)
		}
	}
	for _, i := range []int{2, 1, 0, 2} {
		if err := l.SetFloor(segs[i].First); err != nil {
			t.Errorf("floor at segment %d: %v", i, err)
		}
	}
	if got := l.First(); got != segs[0].First {
		t.Errorf("the log begins at %v before there is a segment that says so", got)
	}
	fill(t, l, 3) // begins the next
	if got := l.First(); got != segs[2].First {
		t.Errorf("the log begins at %v, want %v", got, segs[2].First)
	}
	if err := l.SetFloor(0); err != nil {
		t.Errorf("floor 0: %v", err)
	}
	// Everything but the last segment.
	if floor := giveUp(t, l, -1); l.First() != floor || len(l.Segments()) != 2 {
		t.Errorf("first %v, floor %v, %d segments", l.First(), floor, len(l.Segments()))
	}
	// An empty segment with nothing to say is not followed by another.
	before := l.Stats().Rotations
	if err := l.Rotate(); err != nil || l.Stats().Rotations != before {
		t.Errorf("rotated an empty log: %v", err)
	}
}

// TestSegments holds what Segments says, and what ReadSegment reads, against what
// was written.
func TestSegments(t *testing.T) {
	o := smallOptions(powerfs.New())
	o.Manual = true
	l := mustOpen(t, o)
	all := fill(t, l, 14)
	mustClose(t, l)
	l = mustOpen(t, o)
	defer mustClose(t, l)
	all = append(all, fill(t, l, 2)...)
	segs := l.Segments()
	for i, seg := range segs {
		last := i == len(segs)-1
		if seg.Sealed == last || seg.Size != minSegmentSize || seg.End <= seg.First || seg.Name() != segmentName(seg.First) {
			t.Errorf("segment %d: %+v", i, seg)
		}
		var got []entry
		err := l.ReadSegment(seg.First, func(lsn LSN, p []byte) error {
			got = append(got, entry{lsn, slices.Clone(p)})
			return nil
		})
		if last != (err != nil) {
			t.Errorf("segment %d of %d: read: %v", i, len(segs), err)
		}
		want := slices.DeleteFunc(above(all, seg.First), func(e entry) bool { return e.lsn >= seg.End })
		if d := diff(got, want); !last && d != "" {
			t.Errorf("segment %d: %s", i, d)
		}
	}
	if end := segs[len(segs)-1].End; end != l.Durable().LSN {
		t.Errorf("the last segment ends at %v, durable is %v", end, l.Durable().LSN)
	}
	if err := l.ReadSegment(segs[1].First, func(LSN, []byte) error { return errInjected }); !errors.Is(err, errInjected) {
		t.Errorf("fn's error became %v", err)
	}
	if err := l.ReadSegment(segs[1].First+groupAlign, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("in the middle of a segment: %v", err)
	}
}

// TestReadSegmentDamage flips a bit of every sector of a segment, in front of its
// cut and behind it.
func TestReadSegmentDamage(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual = true
	l := mustOpen(t, o)
	defer mustClose(t, l)
	fill(t, l, 7)
	seg := l.Segments()[1]
	name, data := seg.Name(), readFile(t, disk, seg.Name())
	poke := poker(t, disk, name)
	cut := segmentHeaderSize + int(seg.End-seg.First)
	for off := segmentHeaderSize + 100; off < len(data); off += groupAlign {
		poke([]byte{data[off] ^ 1}, off)
		err := l.ReadSegment(seg.First, func(LSN, []byte) error { return nil })
		poke(data[off:off+1], off)
		ce, corrupt := errors.AsType[*CorruptionError](err)
		if corrupt != (off < cut) || corrupt && (ce.Segment != name || ce.Offset > int64(off)) || !corrupt && err != nil {
			t.Fatalf("byte %d, cut at %d: %v", off, cut, err)
		}
	}
}

// TestBoundaryIsOne: the end of the last segment that was given up is where the
// log begins. An index whose durable position has that address still fits.
func TestBoundaryIsOne(t *testing.T) {
	o := smallOptions(powerfs.New())
	o.Manual = true
	var ends []Position
	o.OnCommit = func(g *Group) { ends = append(ends, g.End()) }
	l := mustOpen(t, o)
	all := fill(t, l, 9)
	i := slices.IndexFunc(ends, func(p Position) bool { return p.LSN == l.Segments()[1].End })
	floor := giveUp(t, l, 2)
	mustClose(t, l)
	o.Durable = ends[i]
	l = mustOpen(t, o)
	var got []entry
	if err := l.Replay(ends[i].LSN, collect(&got)); err != nil {
		t.Fatal(err)
	}
	if d := diff(got, above(all, floor)); d != "" {
		t.Fatal(d)
	}
	mustClose(t, l)
	o.Durable.Chain++
	if _, err := Open(o); err == nil {
		t.Error("a position with another checksum was accepted")
	}
	o.Durable = ends[i-1]
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "segments are missing") {
		t.Errorf("an index that ends below the log: %v", err)
	}
}

// TestMissingOldest: whether anything was reclaimed or not, the log knows where it
// begins.
func TestMissingOldest(t *testing.T) {
	for _, reclaimed := range []bool{false, true} {
		disk := powerfs.New()
		o := smallOptions(disk)
		o.Manual = true
		l := mustOpen(t, o)
		fill(t, l, 14)
		if reclaimed {
			giveUp(t, l, 1)
		}
		mustClose(t, l)
		f := load(t, disk)
		delete(f, segmentNames(t, disk)[0])
		o.FS = f.store(t)
		_, err := Open(o)
		ce, ok := errors.AsType[*CorruptionError](err)
		if !ok || !strings.Contains(err.Error(), "segments are missing") || !strings.Contains(ce.Hint, "put the missing files back") {
			t.Errorf("reclaimed=%v: %v", reclaimed, err)
		}
	}
}

// TestLeftovers opens a log beside files from below its floor, as a crash between
// header and removal leaves them, whatever became of them since.
func TestLeftovers(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.Reserve = true, 1
	l := mustOpen(t, o)
	all := fill(t, l, 14)
	before := load(t, disk)
	floor := giveUp(t, l, -2)
	mustClose(t, l)
	f := load(t, disk)
	var leftovers []string
	for name, data := range before {
		if first, _ := parseSegmentName(name); first < floor {
			f[name] = data
			leftovers = append(leftovers, name)
		}
	}
	slices.Sort(leftovers)
	clear(f[leftovers[0]])                               // was a spare of the name that a power cut took back
	f[leftovers[1]] = f[leftovers[1]][:minSegmentSize/2] // of another size
	delete(f, leftovers[2])                              // a hole
	o.FS = f.store(t)
	l = mustOpen(t, o)
	if d := diff(replayAll(t, l), above(all, floor)); d != "" {
		t.Fatal(d)
	}
	if got := l.Recovery().Leftovers; got != len(leftovers)-1 || l.First() != floor {
		t.Errorf("%d leftovers were noticed of %d", got, len(leftovers)-1)
	}
	if st := l.Stats(); st.Recycled == 0 || st.Removed == 0 || int(st.Recycled+st.Removed) != len(leftovers)-1 {
		t.Errorf("%+v", st)
	}
	for _, name := range segmentNames(t, o.FS.(*powerfs.FS)) {
		if first, _ := parseSegmentName(name); first < floor {
			t.Errorf("%s is still there", name)
		}
	}
	mustClose(t, l)
}

// TestBadFloor hands Open headers with floors that no log writes.
func TestBadFloor(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual = true
	l := mustOpen(t, o)
	fill(t, l, 14)
	giveUp(t, l, 1)
	fill(t, l, 1)
	mustClose(t, l)
	names := segmentNames(t, disk)
	last := len(names) - 1
	tests := []struct {
		want  string
		file  int
		floor func(h segmentHeader) LSN
	}{
		{"never goes back", last - 1, func(h segmentHeader) LSN { return h.prev }},
		{"segments are missing", last, func(h segmentHeader) LSN { return h.floor + groupAlign }},
		{"segments are missing", last, func(h segmentHeader) LSN { return h.floor - stride }},
		{"segments are missing", last, func(h segmentHeader) LSN { return 0 }},
		{"not below this segment", last, func(h segmentHeader) LSN { return h.first }},
		{"not below this segment", last, func(h segmentHeader) LSN { return h.floor + 8 }},
	}
	for _, test := range tests {
		f := load(t, disk)
		page := f[names[test.file]][:segmentHeaderSize]
		h, err := decodeSegmentHeader(page)
		if err != nil {
			t.Fatal(err)
		}
		h.floor = test.floor(h)
		h.encode(page)
		o.FS = f.store(t)
		_, err = Open(o)
		if _, ok := errors.AsType[*CorruptionError](err); !ok || !strings.Contains(err.Error(), test.want) {
			t.Errorf("floor %v in the header of %s: %v, want %q", h.floor, names[test.file], err, test.want)
		}
	}
}

// TestReadersHold has a read, a ReadSegment and a pin in the middle of a segment
// that is given up: its file stays, with its content, until they are done.
func TestReadersHold(t *testing.T) {
	hold := map[string]func(l *Log, seg *segment) (release func()){
		"read": func(l *Log, seg *segment) func() {
			rd, err := l.readers.acquire(seg)
			if err != nil {
				panic(err)
			}
			return func() { l.readers.release(rd) }
		},
		"pin": func(l *Log, _ *segment) func() { return l.Pin() },
		"pins": func(l *Log, _ *segment) func() {
			unpin := l.Pin()
			l.Pin()()
			return func() { unpin(); unpin() }
		},
		"read segment": func(l *Log, seg *segment) func() {
			in, out, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			go func() {
				n := 0
				err := l.ReadSegment(seg.first, func(LSN, []byte) error {
					if n++; n == 1 {
						close(in)
						<-out
					}
					return nil
				})
				if err != nil || n < 2 {
					panic(err)
				}
				close(done)
			}()
			<-in
			return func() { close(out); <-done }
		},
	}
	for name, hold := range hold {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := powerfs.New()
				o := smallOptions(disk)
				o.Reserve = -1
				l := mustOpen(t, o)
				fill(t, l, 7)
				synctest.Wait()
				seg := (*l.segments.Load())[0]
				content := readFile(t, disk, seg.name())
				release := hold(l, seg)
				giveUp(t, l, -1)
				fill(t, l, 9) // needs spares: none may be this one
				synctest.Wait()
				if got := readFile(t, disk, seg.name()); !slices.Equal(got, content) {
					t.Error("the file was written to")
				}
				if _, err := l.readers.acquire(seg); !errors.Is(err, ErrNotFound) {
					t.Errorf("acquired a segment that has left: %v", err)
				}
				if st := l.Stats(); st.HeldBytes < minSegmentSize {
					t.Errorf("%+v", st)
				}
				release()
				time.Sleep(time.Second) // virtual: the maker's pauses
				synctest.Wait()
				if slices.Contains(segmentNames(t, disk), seg.name()) || l.Stats().HeldBytes != 0 {
					t.Error("the file is still there when nobody reads it any more")
				}
				mustClose(t, l)
			})
		})
	}
}

// TestLinkedIsRemoved: a segment or a spare that somebody linked is unlinked, and
// the copy stays as it is. On the real file system.
func TestLinkedIsRemoved(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: filepath.Join(dir, testDir), SegmentSize: minSegmentSize, MaxRecord: 32 << 10, Manual: true}
	l := mustOpen(t, o)
	fill(t, l, 7)
	link := func(name string) (copied string, content []byte) {
		t.Helper()
		copied = filepath.Join(dir, "copy of "+name)
		if err := os.Link(filepath.Join(o.Dir, name), copied); err != nil {
			t.Skipf("no hard links here: %v", err)
		}
		return copied, mustRead(t, copied)
	}
	copied, want := link(l.Segments()[0].Name())
	for l.spares.tryTake() != nil { // room for what can be recycled
	}
	giveUp(t, l, -1)
	if st := l.Stats(); st.Removed != 1 || st.Recycled == 0 {
		t.Errorf("%+v, want the one that was linked removed and the others recycled", st)
	}
	mustClose(t, l)

	spares, err := filepath.Glob(filepath.Join(o.Dir, "*"+spareSuffix))
	if err != nil || len(spares) == 0 {
		t.Fatal(spares, err)
	}
	copied2, want2 := link(filepath.Base(spares[0]))
	l = mustOpen(t, o)
	fill(t, l, 40)
	mustClose(t, l)
	if !slices.Equal(mustRead(t, copied), want) || !slices.Equal(mustRead(t, copied2), want2) {
		t.Error("a linked file was written to")
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPinWhileDraining pins files that Rotate waits for: it goes on without them.
func TestPinWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counters
		o := smallOptions(powerfs.New()).withDefaults()
		s := newSpares(&o, &c, func() {})
		s.letGo([]*segment{{}})
		done := make(chan struct{})
		go func() {
			s.drain()
			close(done)
		}()
		synctest.Wait()
		s.pin()
		synctest.Wait()
		if !isClosed(done) {
			t.Error("drain waits for files that a pin holds")
		}
		s.unpin()
		s.retire()
	})
}

// TestRotateWithoutSpare rotates when the next segment's file is in the making, for
// which the disk then turns out to have no room: the log goes on in the segment that
// it has.
func TestRotateWithoutSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gatedFS{FS: powerfs.New(), verdict: make(chan error)}
		o := smallOptions(g)
		o.Reserve, o.IdleMark, o.LazyDelay = -1, 48*time.Hour, 48*time.Hour
		l := mustOpen(t, o)
		synctest.Wait()
		g.shut.Store(true)
		fill(t, l, 1)
		if err := l.Rotate(); err != nil { // takes the only spare
			t.Fatal(err)
		}
		fill(t, l, 1)
		rotated := make(chan error, 1)
		go func() { rotated <- l.Rotate() }()
		synctest.Wait()
		g.verdict <- syscall.ENOSPC
		synctest.Wait()
		if len(rotated) == 0 {
			t.Error("Rotate holds up the log on a full disk")
		} else if err := <-rotated; !errors.Is(err, ErrNoSpace) {
			t.Errorf("rotate: %v", err)
		}
		place(t, l, payload(1), Reclaiming)
		if err := l.Commit(); err != nil {
			t.Errorf("commit in the segment there is: %v", err)
		}
		close(g.verdict)
		mustClose(t, l)
	})
}

// TestReclaimingWaitsForNoFile: a copy that needs a segment whose file is in the
// making is refused, and logged later; what else is logged meanwhile is committed.
func TestReclaimingWaitsForNoFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gatedFS{FS: powerfs.New(), verdict: make(chan error)}
		o := smallOptions(g)
		o.Reserve = -1
		l := mustOpen(t, o)
		synctest.Wait()
		g.shut.Store(true)
		fill(t, l, 4) // one segment full, the only spare used
		var err error
		for n := 0; err == nil && n < 4; n++ {
			var tk Ticket
			if tk, err = l.Reserve(20<<10, Reclaiming); err == nil {
				l.Done(&tk)
			}
		}
		if !errors.Is(err, ErrNoSpace) {
			t.Errorf("reserve of what needs another segment: %v", err)
		}
		if _, err := l.Append(payload(1)); err != nil {
			t.Errorf("append to the segment there is: %v", err)
		}
		g.verdict <- nil
		synctest.Wait()
		tk, err := l.Reserve(20<<10, Reclaiming)
		if err != nil {
			t.Fatalf("reserve when the file is there: %v", err)
		}
		l.Done(&tk)
		close(g.verdict)
		mustClose(t, l)
	})
}
