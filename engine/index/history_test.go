package index

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// hook is a message as a customer sends it.
func hook(at int64) record.Message {
	return record.Message{
		User: 7, Nonce: 0xFEED_FACE_0000_0001, Lane: 5, Host: 6, Created: at, Due: at, Retries: 3, Method: 1,
		URL: "https://hooks.customer.example/v1/events", CallerIP: "192.0.2.33",
	}
}

// history returns all rows.
func (b *bench) history() (rows []History) {
	b.t.Helper()
	b.must(b.x.History(0, false, func(h *History) (bool, error) {
		rows = append(rows, *h)
		return true, nil
	}))
	return rows
}

// outcome applies the outcome of an attempt that ended at the given time.
func (b *bench) outcome(r record.Row, k record.Kind, at int64) uint64 {
	b.t.Helper()
	return b.apply(&record.Outcome{Row: r, Kind: k, At: at, Next: at + 12_000, Took: 40, Attempt: r.Tries + 1, Status: 503, Error: "503"})
}

func (b *bench) publishHook(at int64) record.Row {
	b.t.Helper()
	m := hook(at)
	seq := b.apply(&m)
	return record.Row{User: m.User, Nonce: m.Nonce, Seq: seq, Pos: seq, Len: uint32(m.Size()), Lane: m.Lane, Host: m.Host, Due: m.Due}
}

// TestHistoryOneRow (X3): one row holds all states of a message that ended where it
// was published, if that was within a second: rows have to lie in the order of time,
// and a replay's applied range may span days. It is small.
func TestHistoryOneRow(t *testing.T) {
	for _, c := range []struct {
		name string
		took int64
		rows int
	}{{"at once", 5, 1}, {"within a second", historySpan, 1}, {"later", historySpan + 1, 3}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.t = t
			r := b.publishHook(testNow)
			b.outcome(r, record.Retry, testNow)
			b.outcome(r, record.Delivered, testNow+c.took)
			b.flush()
			rows := b.history()
			if len(rows) != c.rows || len(rows[0].Outcomes) != 3-c.rows && c.rows != 3 {
				t.Fatalf("%d rows: %+v, want %d", len(rows), rows, c.rows)
			}
			for k, v := range dump(t, b.x) {
				if k[0] == kindHistory && len(k)+len(v) > 130 {
					t.Errorf("a row of %d bytes", len(k)+len(v))
				}
			}
		})
	}
}

// TestHistoryReads: rows are found by place, by time and by message, and tell what
// an events API shows.
func TestHistoryReads(t *testing.T) {
	b := newBench(t)
	const day = dayMillis
	first := b.publishHook(testNow)
	b.flush()
	other := b.publishHook(testNow + 30_000)
	b.outcome(other, record.Delivered, testNow+30_010)
	b.flush()
	failed := b.outcome(first, record.Retry, testNow+60_000)
	b.flush()
	died := b.outcome(first, record.Dead, testNow+2*day)
	b.flush()

	rows := b.history()
	var lsns []uint64
	for _, h := range rows {
		lsns = append(lsns, h.LSN)
	}
	if want := []uint64{first.Seq, other.Seq, failed, died}; !slices.Equal(lsns, want) {
		t.Fatalf("rows at %v, want %v", lsns, want)
	}
	m := hook(testNow)
	created := &Created{At: testNow, Due: testNow, Method: 1, Retries: 3, HistoryFields: record.HistoryFields{URL: m.URL, CallerIP: m.CallerIP}}
	if h := rows[0]; !reflect.DeepEqual(h.Created, created) || h.User != 7 || h.Nonce != m.Nonce || h.Len != first.Len || h.Outcomes != nil {
		t.Errorf("the first row is %+v", h)
	}
	if h := rows[2]; h.Seq != first.Seq || h.Host != 6 || h.Created != nil || len(h.Outcomes) != 1 || h.Outcomes[0].Next != testNow+72_000 ||
		h.Outcomes[0].Error != "503" || h.Outcomes[0].Took != 40 {
		t.Errorf("the retry's row is %+v", h)
	}
	for at, want := range map[int64]uint64{
		0: first.Seq, testNow + 999: first.Seq, testNow + 1000: other.Seq, testNow + 31_000: failed, testNow + 2*day: died, testNow + 3*day: math.MaxUint64,
	} {
		if lsn, err := b.x.HistorySince(at); lsn != want || err != nil {
			t.Errorf("since %d: %d, %v, want %d", at-testNow, lsn, err, want)
		}
	}
	checkMessage := func(last int64, want ...uint64) {
		t.Helper()
		var got []uint64
		b.must(b.x.MessageHistory(first.Seq, testNow, last, func(h *History) (bool, error) {
			got = append(got, h.LSN)
			return true, nil
		}))
		if !slices.Equal(got, want) {
			t.Errorf("the message's rows are at %v, want %v", got, want)
		}
	}
	checkMessage(testNow+2*day, first.Seq, failed, died)
	checkMessage(testNow+day, first.Seq, failed)
}

// TestHistoryRowDamage: what is not a row is refused, at every length.
func TestHistoryRowDamage(t *testing.T) {
	b := newBench(t)
	b.outcome(b.publishHook(testNow), record.Dead, testNow)
	b.outcome(record.Row{Seq: 1 << 32, Pos: 1<<32 + 1}, record.Retry, testNow)
	b.flush()
	for k, v := range dump(t, b.x) {
		if k[0] != kindHistory {
			continue
		}
		var whole, h History
		b.must(decodeHistory([]byte(k), []byte(v), &whole))
		for n := range len(v) {
			if err := decodeHistory([]byte(k), []byte(v[:n]), &h); err == nil && reflect.DeepEqual(h.Outcomes, whole.Outcomes) {
				t.Errorf("%d of %d bytes are taken for the row", n, len(v))
			}
		}
		if decodeHistory([]byte(k), append([]byte{0x80}, v[1:]...), &h) == nil {
			t.Error("an unknown flag was accepted")
		}
	}
}

func FuzzHistoryRow(f *testing.F) {
	m := hook(testNow)
	head, err := record.HeadOfMessage(m.Append(nil))
	if err != nil {
		f.Fatal(err)
	}
	row, err := appendCreated(nil, &record.Row{User: 1, Seq: 5, Pos: 5, Len: 500}, head, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	o := record.Outcome{Row: record.Row{Seq: 5, Pos: 9}, Kind: record.Retry, At: testNow, Next: testNow + 5, Error: "no"}
	row, err = appendOutcome(appendLater(nil, &o.Row, 77), &o, 77, o.Append(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Fuzz(func(t *testing.T, v []byte) {
		var h History
		if err := decodeHistory(historyKey(nil, 99), v, &h); err == nil && len(h.Outcomes) > len(v) {
			t.Errorf("%d outcomes in %d bytes", len(h.Outcomes), len(v))
		}
	})
}

// trimmed makes 1,000 messages, a minute apart, of three rows each, and trims. With
// flushed their tables are on disk, ten of them.
func trimmed(t *testing.T, cut, step, sizeMax int64, flushed bool) (*bench, bool) {
	t.Helper()
	b := &bench{t: t, lsn: 1 << 32}
	o := smallOptions(powerfs.New())
	o.Memtable, o.Quiet = 4<<20, true // what tables there are is known
	b.open(o)
	t.Cleanup(func() { b.must(b.x.Close()) })
	for i := range int64(1000) {
		r := b.publishHook(testNow + i*60_000)
		b.outcome(r, record.Retry, testNow+i*60_000)
		b.flush()
		b.outcome(r, record.Delivered, testNow+i*60_000+2000)
		b.flush()
		if flushed && i%100 == 99 {
			b.must(b.x.Flush())
		}
	}
	trim, ok, err := b.x.OldHistory(cut, step, sizeMax)
	b.must(err)
	if ok {
		b.must(b.a.Trim(trim))
		if !b.a.Open() {
			t.Error("the applier has nothing to write after a trim")
		}
		b.flush()
	}
	return b, ok
}

// TestTrimByAge (X6): what is older goes, by range, and what is younger stays; less
// than a step is not worth it.
func TestTrimByAge(t *testing.T) {
	const cut = testNow + 500*60_000
	b, ok := trimmed(t, cut, 60_000, math.MaxInt64, false)
	rows := b.history()
	if !ok || len(rows) != 1500 || rows[0].Created == nil || rows[0].Created.At != cut {
		t.Errorf("trimmed %v, %d rows from %+v on", ok, len(rows), rows[0])
	}
	if lsn, err := b.x.HistorySince(0); err != nil || lsn != rows[0].LSN {
		t.Errorf("the time rows begin at %d, %v, want %d", lsn, err, rows[0].LSN)
	}
	if _, ok, err := b.x.OldHistory(cut, 60_000, math.MaxInt64); ok || err != nil {
		t.Errorf("there is more to trim: %v", err)
	}
	if b, ok := trimmed(t, testNow+dayMillis, 1, math.MaxInt64, false); !ok || len(b.history()) != 0 || kinds(t, b.x)[kindTime] != 0 {
		t.Error("all of it is old, and not all was trimmed")
	}
	if b, ok := trimmed(t, cut, 501*60_000, math.MaxInt64, false); ok || len(b.history()) != 3000 {
		t.Error("less than a step was trimmed")
	}
	if _, ok := trimmed(t, testNow-1, 1, math.MaxInt64, false); ok {
		t.Error("what is younger was trimmed")
	}
	if _, ok, err := newBench(t).x.OldHistory(cut, 1, 0); ok || err != nil {
		t.Errorf("an empty history was trimmed: %v", err)
	}
}

// TestTrimBySize (X6): the oldest go until the rest is below the bound.
func TestTrimBySize(t *testing.T) {
	whole, _ := trimmed(t, 0, 1, math.MaxInt64, true)
	from, _, err := whole.x.timeRow(math.MinInt64, math.MaxInt64, false)
	whole.must(err)
	size, err := whole.x.historySize(from)
	whole.must(err)
	if size < 40_000 {
		t.Fatalf("history of 1,000 messages takes %d bytes", size)
	}
	b, ok := trimmed(t, 0, 1, size/2, true)
	rows := b.history()
	if !ok || len(rows) < 3000*5/16 || len(rows) > 3000*8/16 {
		t.Errorf("half of the size left %d of 3,000 rows", len(rows))
	}
	if _, ok, err := b.x.OldHistory(0, 1, size/2); ok || err != nil {
		t.Errorf("there is more to trim: %v", err)
	}
	if b, _ := trimmed(t, 0, 1, 1, true); len(b.history()) != 1 {
		t.Errorf("no room at all left %d rows", len(b.history()))
	}
}

// TestTrimEvents: the entries of days that are gone go, too.
func TestTrimEvents(t *testing.T) {
	b := newBench(t)
	for day := range int64(4) {
		r := b.publishHook(testNow + day*dayMillis)
		b.flush()
		b.outcome(r, record.Delivered, testNow+day*dayMillis+5)
		b.flush()
	}
	trim, ok, err := b.x.OldHistory(testNow+2*dayMillis, 1, math.MaxInt64)
	b.must(err)
	b.must(b.a.Trim(trim))
	b.flush()
	if got := kinds(t, b.x); !ok || got[kindHistory] != 4 || got[kindEvent] != 2 {
		t.Errorf("%v left %v", trim, got)
	}
}

// TestHistoryLongTexts: texts are cut, between characters, and the row says so.
func TestHistoryLongTexts(t *testing.T) {
	b := newBench(t)
	m := hook(testNow)
	m.URL += strings.Repeat("é", historyFieldMax)
	seq := b.apply(&m)
	b.apply(&record.Outcome{Row: record.Row{Seq: seq, Pos: seq}, Kind: record.Dead, At: testNow, Error: "x" + strings.Repeat("é", 99)})
	b.flush()
	h := b.history()[0]
	if !h.Created.Cut || h.Created.URL != m.URL[:historyFieldMax] || h.Outcomes[0].Error != "x"+strings.Repeat("é", 59) {
		t.Errorf("%+v", h)
	}
}

// TestHistoryManyOutcomes: a row holds no more events than a cursor can number.
func TestHistoryManyOutcomes(t *testing.T) {
	for retries, want := range map[int]int{oneRowOutcomes - 1: 1, oneRowOutcomes: oneRowOutcomes + 2} {
		b := newBench(t)
		r := b.publishHook(testNow)
		for range retries {
			b.outcome(r, record.Retry, testNow)
		}
		b.outcome(r, record.Delivered, testNow)
		b.flush()
		if rows := b.history(); len(rows) != want {
			t.Errorf("%d retries and an end are in %d rows, want %d", retries, len(rows), want)
		}
		if lsns, err := b.x.MessageRows(r.Seq, 100); len(lsns) != want || err != nil {
			t.Errorf("%d rows are found by the message, %v", len(lsns), err)
		}
		if lsns, err := b.x.MessageRows(r.Seq, 1); len(lsns) != 1 || err != nil {
			t.Errorf("%d rows where one was to be", len(lsns))
		}
	}
}
