package engine

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// bareCore is a core without an engine: the test brings it its events.
type bareCore struct {
	*core
	t   *testing.T
	lsn uint64
}

const bareNow = 1_800_000_000_000

func newBareCore(t *testing.T, resident int) *bareCore {
	o := &Options{Resident: resident}
	o.withDefaults()
	return &bareCore{newCore(o, bareNow), t, 100}
}

// message makes a message resident.
func (b *bareCore) message(seq uint64, due int64) uint32 {
	b.t.Helper()
	r := record.Row{User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: 7, Host: 7, Due: due}
	if !b.place(&r) {
		b.t.Fatalf("message %d found no place", seq)
	}
	i := b.admit(b.laneOf(&r), &r, stTimer)
	b.schedule(i)
	return i
}

// after steps the core so much later.
func (b *bareCore) after(d time.Duration, events ...event) *commands {
	b.t.Helper()
	if _, err := b.step(b.now+d.Milliseconds(), events); err != nil {
		b.t.Fatal(err)
	}
	return &b.out
}

// failed is an attempt that got 500, with a body, and is tried again after a minute.
func failed(i uint32, retries int) event {
	r := &attemptResult{retries: retries, answered: true, delay: time.Minute}
	r.outcome.Status, r.outcome.Error = 500, "the destination answered 500"
	r.outcome.Body, r.outcome.Header = []byte("sorry"), []record.Header{{Name: "A", Value: "b"}}
	return event{kind: evFinished, slot: i, result: r}
}

// logged is an outcome's way through the log.
func (b *bareCore) logged(o *record.Outcome) {
	b.t.Helper()
	b.lsn++
	if err := b.commit(b.lsn, o.Append(nil)); err != nil {
		b.t.Fatal(err)
	}
	b.commitGroup(b.lsn + 1)
}

func (b *bareCore) oneStart(out *commands) startCommand {
	b.t.Helper()
	if len(out.starts) != 1 || len(out.appends) != 0 {
		b.t.Fatalf("%d attempts start, %d outcomes are logged; want 1 and 0", len(out.starts), len(out.appends))
	}
	return out.starts[0]
}

func (b *bareCore) oneAppend(out *commands) *record.Outcome {
	b.t.Helper()
	if len(out.starts) != 0 || len(out.appends) != 1 {
		b.t.Fatalf("%d attempts start, %d outcomes are logged; want 0 and 1", len(out.starts), len(out.appends))
	}
	return out.appends[0].outcome
}

func wantNothing(t *testing.T, out *commands) {
	t.Helper()
	if len(out.starts)+len(out.appends) != 0 {
		t.Fatalf("%d attempts start, %d outcomes are logged; want none", len(out.starts), len(out.appends))
	}
}

// TestFullKeepsRetriesInMemory: while the log can make no segment, a retry is not
// logged and happens all the same, at its time and with its count; the dead
// letter it ends in names the row that the index has, is brief, and says why.
func TestFullKeepsRetriesInMemory(t *testing.T) {
	b := newBareCore(t, 10)
	i := b.message(1, bareNow)
	b.oneStart(b.after(0, event{kind: evFull, found: true}))

	wantNothing(t, b.after(0, failed(i, 1)))
	wantNothing(t, b.after(time.Minute-time.Millisecond))
	if s := b.oneStart(b.after(2 * time.Millisecond)); s.attempt != 2 {
		t.Errorf("attempt %d starts, want the second", s.attempt)
	}
	o := b.oneAppend(b.after(0, failed(i, 1)))
	if o.Kind != record.Dead || o.Attempt != 2 || o.Due != bareNow || o.Tries != 0 {
		t.Errorf("%v after attempt %d, of the row due %d after %d tries", o.Kind, o.Attempt, o.Due, o.Tries)
	}
	if o.Body != nil || o.Header != nil || !strings.Contains(o.Error, "answered 500") || !strings.Contains(o.Error, "disk was full") {
		t.Errorf("the dead letter holds %+v", o)
	}
	b.logged(o)
	if len(b.unlogged) != 0 || b.resident != 0 {
		t.Errorf("%d retries unlogged, %d messages resident at the end", len(b.unlogged), b.resident)
	}
}

// TestFullThenRoom: when there is room again, retries that still wait are logged,
// oldest message first, against the rows that the index has; from then on they
// may be left to it.
func TestFullThenRoom(t *testing.T) {
	b := newBareCore(t, 10)
	one, two := b.message(1, bareNow-5), b.message(2, bareNow)
	b.after(0, event{kind: evFull, found: true})
	wantNothing(t, b.after(0, failed(two, 3), failed(one, 3)))
	out := b.after(time.Second, event{kind: evFull, found: false})
	if len(out.appends) != 2 || len(out.starts) != 0 {
		t.Fatalf("%d outcomes are logged, %d attempts start; want 2 and 0", len(out.appends), len(out.starts))
	}
	for n, cmd := range out.appends {
		o := cmd.outcome
		if o.Kind != record.Retry || o.Seq != uint64(n+1) || o.Attempt != 1 || o.Tries != 0 || o.Due != bareNow-5+5*int64(n) ||
			o.Next != bareNow+time.Minute.Milliseconds()+1 {
			t.Errorf("logged %+v", o)
		}
		b.logged(o)
	}
	if len(b.unlogged) != 0 {
		t.Errorf("%d retries unlogged", len(b.unlogged))
	}
	if out := b.after(2 * time.Minute); len(out.starts) != 2 {
		t.Errorf("%d attempts start, want 2", len(out.starts))
	}
}

// TestFullPinsRetries: a message whose retries are in memory only is never left to
// the index, whoever wants its place; one that merely waits is.
func TestFullPinsRetries(t *testing.T) {
	b := newBareCore(t, 4)
	i := b.message(1, bareNow)
	b.after(0, event{kind: evFull, found: true})
	b.after(0, failed(i, 3))
	b.message(2, bareNow+90_000-60_000)
	li := b.entries[i].lane
	b.evict(li, 10)
	if _, waits := b.bySeq[2]; !waits || b.entries[b.bySeq[2]].state != stSpilled {
		t.Error("a message that only waits was not left to the index")
	}
	if e := &b.entries[i]; e.state != stTimer || b.resident != 1 {
		t.Errorf("the retry is in state %d, %d resident", e.state, b.resident)
	}
	b.after(2 * time.Minute) // it is due, and starts
	b.after(0, failed(i, 3))
	b.after(2*time.Minute, event{kind: evStuck, found: true}) // due, and may not start
	if e := &b.entries[i]; e.state != stReady {
		t.Fatalf("the retry is in state %d", e.state)
	}
	b.evict(li, 10)
	if e := &b.entries[i]; e.state != stReady {
		t.Errorf("a retry that is due was left to the index: state %d", e.state)
	}
}

// TestStuck: when the log has no room for outcomes, nothing starts, a cancel is
// refused, also one that waits, and everything goes on when there is room.
func TestStuck(t *testing.T) {
	b := newBareCore(t, 10)
	b.message(1, bareNow+1000)
	waiting := b.message(2, bareNow+60_000)
	var answers []error
	cancel := func(seq uint64) event {
		return event{kind: evCancel, req: &cancelRequest{user: 1, seq: seq, nonce: seq}}
	}
	take := func(out *commands) {
		for _, a := range out.answers {
			answers = append(answers, a.err)
		}
	}
	canceled := b.oneAppend(b.after(0, cancel(2)))
	take(b.after(0, event{kind: evStuck, found: true}))
	take(b.after(0, cancel(1)))
	take(b.after(0, cancel(3)))
	if len(answers) != 3 {
		t.Fatalf("%d answers, want 3", len(answers))
	}
	for _, err := range answers {
		if !errors.Is(err, ErrDiskFull) {
			t.Errorf("a cancel was answered with %v", err)
		}
	}
	wantNothing(t, b.after(time.Minute))
	if b.entries[waiting].state != stDeciding {
		t.Errorf("the canceled message is in state %d", b.entries[waiting].state)
	}
	b.oneStart(b.after(0, event{kind: evStuck, found: false}))
	b.logged(canceled)
	if b.entries[waiting].state != stEnded {
		t.Errorf("the canceled message is in state %d", b.entries[waiting].state)
	}
}

// TestFullDiskLosesNothing: producers fill the log's last segment to the brim,
// then attempts end. What was answered stays, no attempt's end is lost, nothing
// is fatal, and with room again all goes on by itself.
func TestFullDiskLosesNothing(t *testing.T) {
	disk := powerfs.New()
	disk.SetFree(256 * mebi)
	w := newFakeWire()
	o := testOptions(disk, w)
	o.MinFree = -1
	o.OnFatal = func(err error) { t.Errorf("fatal: %v", err) }
	e := open(t, o)
	const due = 200
	for range due {
		publish(t, e, Publish{Delay: 2 * time.Second})
	}
	fillDisk(t, disk)
	for size := mebi; size > 0; {
		_, err := e.Publish(&Publish{User: 1, URL: "http://example.com/", Body: incompressible(size), Delay: time.Hour})
		if errors.Is(err, ErrDiskFull) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	w.next(t) // where the outcomes of the first find no room, no more start
	if _, err := e.Publish(&Publish{User: 1, URL: "http://example.com/"}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("publish on the full disk: %v", err)
	}
	disk.SetFree(256 * mebi)
	for range due - 1 {
		w.next(t)
	}
	eventually(t, func() bool {
		_, err := e.Publish(&Publish{User: 1, URL: "http://example.com/", Delay: time.Hour})
		return err == nil
	})
	closeEngine(t, e)
	attempts := len(w.got)
	if e, err := Open(o); err != nil {
		t.Error(err)
	} else {
		time.Sleep(100 * time.Millisecond) // time to deliver again what is not known to be delivered
		closeEngine(t, e)
	}
	if len(w.got) != attempts {
		t.Errorf("%d attempts after the restart", len(w.got)-attempts)
	}
}

func incompressible(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// TestFullCancelsHeld: a message whose attempt's end waits for room, since it owes
// callbacks, can be canceled: that finds room, and nobody waits until the disk has more.
func TestFullCancelsHeld(t *testing.T) {
	for _, first := range []string{"held", "moving"} {
		b := newBareCore(t, 10)
		i := b.message(1, bareNow)
		b.oneStart(b.after(0, event{kind: evFull, found: true}))
		end := failed(i, 3)
		end.result.outcome.Callbacks, end.result.outcome.Source = [][]byte{callbackOf(1, "q")}, sourceOf(1)
		var moved []error
		var out *commands
		if first == "moving" {
			move := b.oneMove(b.after(0, moveOf(1, &moved)))
			wantNothing(t, b.after(0, end))
			wantNothing(t, b.after(0, cancelOf(1)))
			out = b.moved(move)
		} else {
			wantNothing(t, b.after(0, end))
			out = b.after(0, cancelOf(1))
		}
		o := b.oneAppend(out)
		if o.Kind != record.Canceled || len(o.Callbacks) != 0 || len(b.held) != 0 || b.heldBytes != 0 {
			t.Errorf("%s: %v with %d callbacks, %d held of %d bytes", first, o.Kind, len(o.Callbacks), len(b.held), b.heldBytes)
		}
		b.logged(o)
		wantNothing(t, b.after(time.Second, event{kind: evFull, found: false}))
		if len(b.cancels) != 0 {
			t.Errorf("%s: a cancel is not answered", first)
		}
	}
}
