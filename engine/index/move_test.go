package index

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestRebuildFromMoves: what was moved out of the part of the log that is gone is
// all there is to rebuild the index from (W10, P10). The history goes on while
// messages are moved: they are retried, end, and are moved again.
func TestRebuildFromMoves(t *testing.T) {
	for seed := range uint64(60) {
		if err := rebuildFromMoves(t, seed, false); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestRebuildIsKilled: the same when the process dies again and again on the way,
// and Pebble has written out a part of what was applied: the next start goes on from
// there, and the moves of what is below the log's first address are still to come.
func TestRebuildIsKilled(t *testing.T) {
	for seed := range uint64(60) {
		if err := rebuildFromMoves(t, seed, true); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func rebuildFromMoves(t *testing.T, seed uint64, killed bool) error {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 2)), m: newModel(), lsn: 1 << 32, now: testNow, defined: true}
	var log []logged
	add := func(p []byte) {
		g.lsn += 512
		r := logged{g.lsn, p}
		if err := g.m.apply(r); err != nil {
			t.Fatal(err)
		}
		log = append(log, r)
	}
	random := func(n int) {
		for range n {
			r := g.next()
			if err := g.m.apply(r); err != nil {
				t.Fatal(err)
			}
			log = append(log, r)
		}
	}
	for range 1 + g.rng.IntN(3) {
		random(g.rng.IntN(300))
		first := (segmentOf(g.lsn) + 1) << 32
		g.lsn = first
		for p := g.below(first); p != nil; p = g.below(first) {
			add(p)
			random(g.rng.IntN(3))
		}
		for _, p := range g.m.users {
			add(p)
		}
		g.m.first = first
		random(g.rng.IntN(200))
	}
	last := g.message() // what time it is
	add(last.Append(nil))
	return rebuilt(t, g, log, killed)
}

// below returns the move of something that stands below first, nil if nothing does.
func (g *generator) below(first uint64) []byte {
	var ps []func() []byte
	for _, seq := range sorted(g.m.rows) {
		if r := g.m.rows[seq]; r.Pos < first {
			ps = append(ps, func() []byte { return g.moveRow(r) })
		}
	}
	for _, lsn := range sorted(g.m.dead) {
		d := g.m.dead[lsn]
		if d.Pos < first {
			ps = append(ps, func() []byte { return g.moveDead(d, record.MoveDeadMessage) })
		}
		if d.Out < first {
			ps = append(ps, func() []byte { return g.moveDead(d, record.MoveDeadOutcome) })
		}
	}
	for _, id := range g.m.scheduleIDs() {
		if s := g.m.schedules[id]; s.Pos < first {
			ps = append(ps, func() []byte { return g.keepSchedule(s) })
		}
	}
	if ps = append(ps, g.linesBelow(first)...); len(ps) == 0 {
		return nil
	}
	return ps[g.rng.IntN(len(ps))]()
}

// rebuilt applies what of the log is left to an empty index, in batches of any
// size, and compares it with the model. If killed, the process dies now and then.
func rebuilt(t *testing.T, g *generator, log []logged, killed bool) error {
	b, disk := &bench{t: t}, powerfs.New()
	b.open(smallOptions(disk))
	defer func() { b.must(b.x.Close()) }()
	b.must(b.a.Begin(g.m.first))
	pos := Position{}
	for _, r := range log {
		if r.lsn < g.m.first {
			continue
		}
		if err := b.a.Record(r.lsn, r.payload); err != nil {
			return fmt.Errorf("record at %d: %w", r.lsn, err)
		}
		pos = positionAt(r.lsn + 8)
		b.a.EndGroup(pos)
		if g.rng.IntN(40) == 0 {
			b.flush()
		}
		if killed && g.rng.IntN(100) == 0 {
			b.flush()
			b.must(b.x.Flush())
			b.must(b.x.Abandon())
			b.open(smallOptions(disk))
			b.must(b.a.Begin(g.m.first))
		}
	}
	b.must(b.a.Replayed())
	b.must(b.a.Forget(g.m.first))
	b.flush()
	for k, v := range g.m.dedup { // ids live in the index alone
		if be.Uint64([]byte(v)) < g.m.first {
			delete(g.m.dedup, k)
		}
	}
	return g.m.diff(dump(t, b.x), pos)
}

// TestStanding: the walk says of every address of the log what the model says.
func TestStanding(t *testing.T) {
	b := newBench(t)
	g := &generator{rng: rand.New(rand.NewPCG(1, 3)), m: newModel(), lsn: 1 << 32, now: testNow}
	var log []logged
	for range 3000 {
		r := g.next()
		b.must(g.m.apply(r))
		b.must(b.a.Record(r.lsn, r.payload))
		b.a.EndGroup(positionAt(r.lsn + 8))
		log = append(log, r)
	}
	b.flush()
	dead := map[uint64]DeadKey{}
	for lsn, d := range g.m.dead {
		dead[max(d.Pos, d.Seq)] = DeadKey{d.User, lsn}
	}
	s, err := b.x.Standing(0, ^uint64(0))
	b.must(err)
	defer func() { b.must(s.Close()) }()
	found, shared := 0, 0
	for _, r := range log {
		for _, seq := range seqsOf(t, r) {
			pending, k, err := s.At(seq, r.lsn)
			b.must(err)
			if want := g.m.rows[seq].Pos == r.lsn; pending != want || k != dead[seq] {
				t.Fatalf("%d at %d: pending %v, dead letter %+v; the model says %v, %+v", seq, r.lsn, pending, k, want, dead[seq])
			}
			if pending || k != (DeadKey{}) {
				found++
				if seq != r.lsn {
					shared++
				}
			}
		}
	}
	if found < 20 || shared < 20 {
		t.Fatalf("only %d messages stand, %d of them in a record with others: the test shows little", found, shared)
	}
}

// seqsOf returns the seqs by which the walk asks for what stands in a record.
func seqsOf(t *testing.T, r logged) []uint64 {
	seqs := []uint64{r.lsn}
	var f record.Fanout
	var o record.Outcome
	switch r.payload[0] {
	case byte(record.TypeFanout):
		if err := record.DecodeFanout(r.payload, &f); err != nil {
			t.Fatal(err)
		}
		for n := range f.Members[1:] {
			seqs = append(seqs, r.lsn+uint64(n)+1)
		}
	case byte(record.TypeOutcome):
		if err := record.DecodeOutcome(r.payload, &o); err != nil {
			t.Fatal(err)
		}
		seqs = seqs[:0]
		for n := range o.Callbacks {
			seqs = append(seqs, r.lsn+uint64(n)+1)
		}
	}
	return seqs
}
