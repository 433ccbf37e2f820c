package engine

import (
	"errors"
	"testing"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// moveOf asks for a message's move, as reclaiming does.
func moveOf(seq uint64, got *[]error) event {
	return event{kind: evMove, move: &moveRequest{
		seq: seq, nonce: seq, old: seq, oldLen: 100, done: func(err error) { *got = append(*got, err) },
	}}
}

func cancelOf(seq uint64) event {
	return event{kind: evCancel, req: &cancelRequest{user: 1, seq: seq, nonce: seq}}
}

func (b *bareCore) oneMove(out *commands) moveCommand {
	b.t.Helper()
	if len(out.moves) != 1 {
		b.t.Fatalf("%d copies are logged, want 1", len(out.moves))
	}
	return out.moves[0]
}

// moved is a copy's way through the log; what the core does then is in its commands.
func (b *bareCore) moved(cmd moveCommand) *commands {
	b.t.Helper()
	m := record.Move{
		Row: cmd.row, Old: cmd.req.old, OldLen: cmd.req.oldLen, What: record.MovePending,
		Record: (&record.Message{User: 1, Nonce: cmd.row.Nonce, URL: "http://a.example/"}).Append(nil),
	}
	b.lsn++
	b.out.reset()
	if err := b.commit(b.lsn, m.Append(nil)); err != nil {
		b.t.Fatal(err)
	}
	b.commitGroup(b.lsn + 1)
	return &b.out
}

// ends logs what the core asked for and has the index apply it: nothing is left.
func (b *bareCore) ends(o *record.Outcome, kind record.Kind) {
	b.t.Helper()
	if o.Kind != kind || o.Pos != b.lsn {
		b.t.Fatalf("logged %v of the record at %d, want %v of the copy at %d", o.Kind, o.Pos, kind, b.lsn)
	}
	b.logged(o)
	b.after(0, event{kind: evApplied, lsn: b.lsn + 1})
	for b.pagesDone < b.pagesAsked {
		b.after(0, event{kind: evPaged, page: &index.Page{}})
	}
	if b.resident != 0 || len(b.bySeq) != 0 || len(b.byLane) != 0 || len(b.moves)+len(b.cancels) != 0 {
		b.t.Errorf("%d resident, %d entries, %d moves, %d cancels are left", b.resident, len(b.bySeq), len(b.moves), len(b.cancels))
	}
}

// TestCancelOfMovedAndEvicted: a message is canceled while it is moved, and left to
// the index before the copy is durable. The cancel takes effect all the same, on an
// entry that nobody frees meanwhile.
func TestCancelOfMovedAndEvicted(t *testing.T) {
	b := newBareCore(t, 10)
	i := b.message(1, bareNow+50_000)
	var moves []error
	cmd := b.oneMove(b.after(0, moveOf(1, &moves)))
	wantNothing(t, b.after(0, cancelOf(1)))
	b.evict(b.entries[i].lane, 1)
	if b.entries[i].state != stSpilled {
		t.Fatalf("state %d: not evicted", b.entries[i].state)
	}
	out := b.moved(cmd)
	o := b.oneAppend(out)
	for _, req := range out.moved {
		req.done(req.err)
	}
	b.after(0, event{kind: evApplied, lsn: b.lsn + 1}) // what was left to the index is forgotten, this is not
	b.ends(o, record.Canceled)
	if len(moves) != 1 || moves[0] != nil {
		t.Errorf("the move: %v", moves)
	}
}

// TestStuckWhileCancelWaitsForMove: a message that was made resident to be canceled
// is being moved when the log runs out of room. Its cancel is answered; the message
// is not forgotten.
func TestStuckWhileCancelWaitsForMove(t *testing.T) {
	for _, refused := range []bool{false, true} {
		b := newBareCore(t, 10)
		r := record.Row{User: 1, Nonce: 1, Seq: 1, Pos: 1, Len: 100, Lane: 7, Host: 7, Due: bareNow + 1000}
		var moves []error
		out := b.after(0, moveOf(1, &moves), cancelOf(1))
		if len(out.moveRows) != 1 || len(out.rows) != 1 {
			t.Fatalf("%d and %d rows are read", len(out.moveRows), len(out.rows))
		}
		move, cancel := out.moveRows[0], out.rows[0]
		b.spill(b.laneOf(&r), cursorOf(&r))
		cmd := b.oneMove(b.after(0, event{kind: evMoveRow, move: move, row: r, found: true}))
		wantNothing(t, b.after(0, event{kind: evRow, req: cancel, row: r, found: true}))
		out = b.after(0, event{kind: evStuck, found: true})
		if len(out.answers) != 1 || !errors.Is(out.answers[0].err, ErrDiskFull) {
			t.Fatalf("the cancel was answered with %v", out.answers)
		}
		if refused {
			out = b.after(0, event{kind: evMoveRefused, move: cmd.req, err: ErrDiskFull})
		} else {
			out = b.moved(cmd)
		}
		if i := b.bySeq[1]; b.entries[i].state == stDeciding && len(out.appends) == 0 {
			t.Errorf("refused %v: the message waits for a decision that nobody makes", refused)
		}
	}
}

// TestDrainWaitsForMove: an attempt that ended while its message is moved is decided
// when the copy is durable. A shutdown waits for that: it would be made again.
func TestDrainWaitsForMove(t *testing.T) {
	b := newBareCore(t, 10)
	i := b.message(1, bareNow)
	b.oneStart(b.after(0))
	var moves []error
	cmd := b.oneMove(b.after(0, moveOf(1, &moves)))
	e := &Engine{core: b.core, drained: make(chan struct{})}
	drained := func() bool {
		e.noteDrained()
		select {
		case <-e.drained:
			return true
		default:
			return false
		}
	}
	wantNothing(t, b.after(0, event{kind: evDrain}, event{kind: evFinished, slot: i, result: &attemptResult{success: true, answered: true}}))
	if drained() {
		t.Error("drained, and the attempt's end is not logged")
	}
	o := b.oneAppend(b.moved(cmd))
	if drained() {
		t.Error("drained, and the attempt's end is not durable")
	}
	b.ends(o, record.Delivered)
	if !drained() {
		t.Error("not drained")
	}
}

// TestStuckAnswersMoves: a move that waits for an outcome which the log has no room for
// is answered, and so is one that is asked for then: a round of reclaiming that waited
// would keep its view of the index, and what that holds on the disk, until there is room.
func TestStuckAnswersMoves(t *testing.T) {
	b := newBareCore(t, 10)
	i := b.message(1, bareNow)
	b.oneStart(b.after(0))
	o := b.oneAppend(b.after(0, event{kind: evFinished, slot: i, result: &attemptResult{success: true, answered: true}}))
	var moves []error
	answered := func(out *commands, want int) {
		t.Helper()
		for _, req := range out.moved {
			req.done(req.err)
		}
		if len(moves) != want || want > 0 && !errors.Is(moves[want-1], ErrDiskFull) {
			t.Fatalf("moves were answered with %v, want %d answers", moves, want)
		}
	}
	answered(b.after(0, moveOf(1, &moves)), 0)
	answered(b.after(0, event{kind: evStuck, found: true}), 1)
	answered(b.after(0, moveOf(1, &moves)), 2)
	b.after(0, event{kind: evStuck, found: false})
	b.logged(o)
	if len(b.moves) != 0 || b.resident != 0 {
		t.Errorf("%d moves, %d resident are left", len(b.moves), b.resident)
	}
}
