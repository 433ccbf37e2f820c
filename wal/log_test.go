package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRoundTrip appends across many segments, reads everything back by address,
// by OnCommit and, over three reopenings, by Replay.
func TestRoundTrip(t *testing.T) {
	for _, manual := range []bool{false, true} {
		t.Run(fmt.Sprintf("manual=%v", manual), func(t *testing.T) {
			fs := vfs.NewMem()
			o := smallOptions(fs)
			o.Manual = manual
			var want []entry
			for round := range 4 {
				var committed []entry
				o.OnCommit = func(g *Group) { _ = collect(&committed)(g) }
				l := mustOpen(t, o)
				if l.Created() != (round == 0) {
					t.Fatalf("round %d: created %v", round, l.Created())
				}
				if d := diff(replayAll(t, l), want); d != "" {
					t.Fatalf("round %d: replay: %s", round, d)
				}
				before := len(want)
				for i := range 300 {
					p := payload(round*1000 + i)
					lsn, err := l.Append(p)
					if err != nil {
						t.Fatalf("append: %v", err)
					}
					want = append(want, entry{lsn, p})
				}
				if d := diff(committed, want[before:]); d != "" {
					t.Fatalf("round %d: OnCommit: %s", round, d)
				}
				checkReads(t, l, want)
				mustClose(t, l)
			}
		})
	}
}

func checkReads(t *testing.T, l *Log, want []entry) {
	t.Helper()
	var buf []byte
	for i, e := range want {
		hint := []int{len(e.payload), 0, len(e.payload) / 2, len(e.payload) + 100}[i%4]
		p, err := l.Read(e.lsn, hint, buf)
		if err != nil {
			t.Fatalf("read %v with hint %d: %v", e.lsn, hint, err)
		}
		if !bytes.Equal(p, e.payload) {
			t.Fatalf("read %v: wrong payload", e.lsn)
		}
		buf = p
	}
}

// TestReplayFrom replays from every group boundary of a log and expects what
// follows, with positions that chain.
func TestReplayFrom(t *testing.T) {
	fs := vfs.NewMem()
	o := smallOptions(fs)
	o.Manual = true
	l := mustOpen(t, o)
	for i := range 200 {
		if _, err := l.Append(payload(i)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)

	// With the index's position at the end nothing is rewritten.
	o.Durable = l.Durable()
	l = mustOpen(t, o)
	defer mustClose(t, l)
	var all []entry
	type boundary struct {
		pos  Position
		seen int
	}
	bounds := []boundary{{Position{LSN: l.First()}, 0}}
	err := l.Replay(0, func(g *Group) error {
		if g.Start() != bounds[len(bounds)-1].pos.LSN && g.Start().Offset() != 0 {
			t.Fatalf("group at %v does not follow %v", g.Start(), bounds[len(bounds)-1].pos.LSN)
		}
		if err := collect(&all)(g); err != nil {
			return err
		}
		bounds = append(bounds, boundary{g.End(), len(all)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if last := bounds[len(bounds)-1].pos; last != l.Durable() {
		t.Fatalf("the last group ends at %v, durable is %v", last, l.Durable())
	}
	for _, b := range bounds {
		var got []entry
		if err := l.Replay(b.pos.LSN, collect(&got)); err != nil {
			t.Fatalf("from %v: %v", b.pos.LSN, err)
		}
		if d := diff(got, all[b.seen:]); d != "" {
			t.Fatalf("from %v: %s", b.pos.LSN, d)
		}
	}
	// The boundary behind the last group has a second address, in the segment that
	// recovery made.
	if second := l.tail.end.LSN; second == bounds[len(bounds)-1].pos.LSN {
		t.Fatal("the log goes on in the old segment")
	} else if err := l.Replay(second, collect(&all)); err != nil {
		t.Errorf("from %v: %v", second, err)
	}
	for _, from := range []LSN{1, l.First() - 512, l.Durable().LSN + 512, 99 << 32} {
		if err := l.Replay(from, collect(&all)); !errors.Is(err, ErrNotFound) {
			t.Errorf("replay from %v: %v, want ErrNotFound", from, err)
		}
	}
	if err := l.Replay(bounds[3].pos.LSN+8, collect(&all)); err == nil {
		t.Error("replay from the middle of a group: no error")
	}
}

// TestDurablePosition reopens with every group boundary as the index's durable
// position, which must be accepted, and with wrong ones, which must not.
func TestDurablePosition(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := smallOptions(fs)
	o.Manual = true
	var bounds []Position
	o.OnCommit = func(g *Group) { bounds = append(bounds, g.End()) }
	l := mustOpen(t, o)
	bounds = append(bounds, l.Durable())
	for i := range 200 {
		if _, err := l.Append(payload(i)); err != nil {
			t.Fatal(err)
		}
	}
	o.OnCommit = nil
	step := 1
	if raceEnabled {
		step = 5
	}
	crash := func() vfs.FS { return fs.CrashClone(vfs.CrashCloneCfg{}) }
	for i := 0; i < len(bounds); i += step {
		b := bounds[i]
		o.FS, o.Durable = crash(), b
		l := mustOpen(t, o)
		if got := l.Recovery(); i < len(bounds)-1 && got.Groups == 0 {
			t.Fatalf("durable %v: nothing scanned", b)
		}
		mustClose(t, l)

		for _, wrong := range []Position{{b.LSN, b.Chain ^ 1}, {b.LSN + 8, b.Chain}, {b.LSN + 512<<20, b.Chain}} {
			o.FS, o.Durable = crash(), wrong
			_, err := Open(o)
			if _, ok := errors.AsType[*CorruptionError](err); !ok {
				t.Fatalf("durable %v: %v, want a corruption", wrong, err)
			}
		}
	}
	o.FS, o.Durable = vfs.NewMem(), bounds[0]
	if _, err := Open(o); err == nil {
		t.Fatal("an empty directory with a durable position: no error")
	}
	mustClose(t, l)
}

// TestConcurrentProducers has many producers append, lazily and not, and expects
// OnCommit to see everything once, in order, before the producers are acked.
func TestConcurrentProducers(t *testing.T) {
	fs := vfs.NewMem()
	o := smallOptions(fs)
	o.SegmentSize = 256 << 10
	seen := make(map[string]LSN) // by the one goroutine at a time that commits
	var mu sync.Mutex
	end := Position{}
	o.OnCommit = func(g *Group) {
		mu.Lock()
		defer mu.Unlock()
		if end.LSN != 0 && g.Start() != end.LSN && g.Start().Offset() != 0 {
			t.Errorf("group at %v does not follow %v", g.Start(), end.LSN)
		}
		end = g.End()
		_ = g.Each(func(lsn LSN, p []byte) error {
			seen[string(p)] = lsn
			return nil
		})
	}
	l := mustOpen(t, o)
	const producers, each = 16, 200
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			rng := newRNG(uint64(p))
			for i := range each {
				if err := produce(l, rng, []byte(fmt.Sprintf("%d/%d/%*d", p, i, rng.IntN(3000), 0)), &mu, seen); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != producers*each {
		t.Fatalf("OnCommit saw %d records, want %d", len(seen), producers*each)
	}
	mustClose(t, l)
	o.OnCommit = nil
	l = mustOpen(t, o)
	defer mustClose(t, l)
	got := replayAll(t, l)
	for _, e := range got {
		if seen[string(e.payload)] != e.lsn {
			t.Fatalf("record %v was not committed at that address", e.lsn)
		}
	}
	if len(got) != producers*each {
		t.Fatalf("replay has %d records, want %d", len(got), producers*each)
	}
}

// produce appends p and checks that OnCommit saw it before the ack.
func produce(l *Log, rng *rand.Rand, p []byte, mu *sync.Mutex, seen map[string]LSN) error {
	c := drawClass(rng, 4)
	t, err := l.Reserve(len(p), c)
	if c == Reclaiming && errors.Is(err, ErrNoSpace) { // the next segment's file is in the making
		t, err = l.Reserve(len(p), Lazy)
	}
	if err != nil {
		return err
	}
	copy(t.Buf, p)
	l.Done(&t)
	if err := l.Wait(&t); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if seen[string(p)] != t.LSN {
		return fmt.Errorf("acked at %v before OnCommit", t.LSN)
	}
	return nil
}

// TestLazyAndIdle checks the two delays in virtual time: a lazy record waits for
// LazyDelay and no longer, an idle log writes one mark after IdleMark.
func TestLazyAndIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := smallOptions(vfs.NewMem())
		var committed atomic.Pointer[time.Time]
		o.OnCommit = func(g *Group) {
			if g.Len() > 0 {
				now := time.Now()
				committed.Store(&now)
			}
		}
		l := mustOpen(t, o)
		start := time.Now()
		tk, err := l.Reserve(10, Lazy)
		if err != nil {
			t.Fatal(err)
		}
		l.Done(&tk)
		time.Sleep(defaultLazyDelay - time.Nanosecond)
		synctest.Wait()
		if committed.Load() != nil {
			t.Fatal("a lazy record was committed early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if at := committed.Load(); at == nil || at.Sub(start) != defaultLazyDelay {
			t.Fatalf("lazy record committed at %v, reserved at %v", at, start)
		}
		time.Sleep(defaultIdleMark - time.Nanosecond)
		synctest.Wait()
		if n := l.Stats().Marks; n != 0 {
			t.Fatalf("%d marks before the log was idle", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := l.Stats().Marks; n != 1 {
			t.Fatalf("%d marks after IdleMark, want 1", n)
		}
		time.Sleep(time.Hour)
		mustClose(t, l)
		if n := l.Stats().Marks; n != 1 {
			t.Fatalf("%d marks after an idle hour and a close, want 1", n)
		}
	})
}

// TestInterval checks that interval mode acks before the sync and tells
// OnCommit after it.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		o := smallOptions(fs)
		o.SyncInterval = time.Second
		var durable atomic.Int64
		o.OnCommit = func(g *Group) { durable.Add(int64(g.Len())) }
		l := mustOpen(t, o)
		for i := range 20 {
			if _, err := l.Append(payload(i)); err != nil {
				t.Fatal(err)
			}
		}
		if durable.Load() != 0 || l.Stats().Syncs != 0 {
			t.Fatalf("%d records durable, %d syncs before the interval", durable.Load(), l.Stats().Syncs)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if durable.Load() != 20 || l.Stats().Syncs != 1 {
			t.Fatalf("%d records durable, %d syncs after the interval", durable.Load(), l.Stats().Syncs)
		}
		mustClose(t, l)
	})
}

// TestReadNotFound asks for addresses where no record is.
func TestReadNotFound(t *testing.T) {
	l := mustOpen(t, smallOptions(vfs.NewMem()))
	defer mustClose(t, l)
	lsn, err := l.Append(payload(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []LSN{0, 1, lsn - 1<<32, l.Durable().LSN, lsn + 1<<32, lsn + 4, 1<<64 - 8} {
		if _, err := l.Read(at, 100, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("read %v: %v, want ErrNotFound", at, err)
		}
	}
	for _, at := range []LSN{lsn - groupHeaderSize, lsn + 8, lsn + 16} {
		_, err := l.Read(at, 100, nil)
		if _, ok := errors.AsType[*CorruptionError](err); !ok {
			t.Errorf("read %v: %v, want a corruption", at, err)
		}
	}
}

// TestLimits checks the refusals of Reserve and of Options.
func TestLimits(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.MaxRecord = largestRecord(o.SegmentSize)
	l := mustOpen(t, o)
	if _, err := l.Append(make([]byte, o.MaxRecord+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	for range 3 {
		if _, err := l.Append(make([]byte, o.MaxRecord)); err != nil {
			t.Errorf("largest record: %v", err)
		}
	}
	if _, err := l.Append(nil); err != nil {
		t.Errorf("empty record: %v", err)
	}
	mustClose(t, l)
	mustClose(t, l)
	if _, err := l.Append(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if _, err := l.Read(firstLSN+groupHeaderSize, 0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	for _, bad := range []Options{
		{},
		{Dir: testDir, SegmentSize: 1 << 10},
		{Dir: testDir, SegmentSize: minSegmentSize + 1},
		{Dir: testDir, SegmentSize: 2 << 30},
		{Dir: testDir, SegmentSize: minSegmentSize, MaxRecord: minSegmentSize},
		{Dir: testDir, MaxRecord: -1},
		{Dir: testDir, SyncInterval: -1},
	} {
		bad.FS = vfs.NewMem()
		if _, err := Open(bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// TestManualLagging fills the queue without committing.
func TestManualLagging(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.Manual = true
	l := mustOpen(t, o)
	var n int
	for {
		tk, err := l.Reserve(1000, Producer)
		if errors.Is(err, ErrLagging) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint64(tk.Buf, uint64(n))
		l.Done(&tk)
		n++
	}
	if tk, err := l.Reserve(1000, Lazy); err != nil {
		t.Fatalf("lazy: %v", err)
	} else {
		l.Done(&tk)
		n++
	}
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := l.Stats(); got.Records != uint64(n) || got.Syncs >= got.Groups {
		t.Fatalf("committed %d of %d records in %d groups, %d syncs", got.Records, n, got.Groups, got.Syncs)
	}
	mustClose(t, l)
}

// TestRetain keeps groups beyond OnCommit while the log reuses buffers.
func TestRetain(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.IdleMark = time.Hour // no commit while kept is read
	var kept []*Group
	o.OnCommit = func(g *Group) { g.Retain(); kept = append(kept, g) }
	l := mustOpen(t, o)
	var want []entry
	for i := range 300 {
		lsn, err := l.Append(payload(i))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, entry{lsn, payload(i)})
	}
	var got []entry
	for _, g := range kept {
		if err := collect(&got)(g); err != nil {
			t.Fatal(err)
		}
		g.Release()
	}
	kept = nil
	if d := diff(got, want); d != "" {
		t.Fatal(d)
	}
	mustClose(t, l)
}

// TestCommitEnds has every commit reserve another record, as steady traffic
// does: Commit is for what was reserved before it.
func TestCommitEnds(t *testing.T) {
	o := smallOptions(vfs.NewMem())
	o.Manual = true
	var l *Log
	reserved := 0
	reserve := func() {
		tk, err := l.Reserve(100, Lazy)
		if err != nil {
			if !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			return
		}
		reserved++
		l.Done(&tk)
	}
	o.OnCommit = func(g *Group) {
		if g.Len() > 0 && reserved < 100 {
			reserve()
		}
	}
	l = mustOpen(t, o)
	reserve()
	for i, f := range []func() error{l.Commit, l.WriteMark} {
		before := reserved
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if n := reserved - before; n < 1 || n > 2 {
			t.Errorf("call %d committed %d groups", i, n)
		}
	}
	mustClose(t, l)
}

// TestHandOver has one producer in the middle of its commit while another comes
// to wait: when the first is done, somebody commits for the second, at once.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := smallOptions(vfs.NewMem())
		o.OnCommit = func(*Group) { <-gate }
		o.IdleMark, o.LazyDelay = time.Hour, time.Hour // no timer comes to the rescue
		l := mustOpen(t, o)
		start := time.Now()
		results := make(chan error, 3)
		for range cap(results) {
			go func() {
				_, err := l.Append(payload(1))
				results <- err
			}()
			synctest.Wait()
		}
		close(gate)
		for range cap(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("the hand-over took %v", d)
		}
		mustClose(t, l)
	})
}
