package index

import (
	"bytes"
	"cmp"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"
)

// Rows of the kinds that every message has enter Pebble in the order of their keys. Its
// memtable is a skip list, where a key that follows the one before is linked in where that
// one was; any other has to be searched for, through as many cache lines as the list has
// levels. So the open batch gathers these rows in runs, one for each kind, and sorts them
// when it ends. Most runs are in order by then: keys that begin with an LSN come so.
//
// Of several rows under one key only the last is written.

// runKinds are the kinds that have a run, in the order of keys.
var runKinds = [...]byte{kindPullDue, kindDedup, kindEvent, kindHistory, kindMessage, kindPending}

// spanOf has Pebble end a table where a kind of runKinds begins or ends. So the tables of
// history, which only ever grows at its end, overlap none that are there already, and
// compactions move most of them from level to level without reading them; with other kinds
// at their ends, each flush would overlap all history, and have it written again.
func spanOf(key []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	for _, kind := range runKinds {
		if len(key) == 0 || key[0] < kind {
			return policy, []byte{kind}, nil
		}
		if key[0] == kind {
			return policy, []byte{kind + 1}, nil
		}
	}
	return policy, nil, nil
}

// runs are the rows of the open batch that are not in it yet.
type runs [len(runKinds)]run

// of returns the run of a kind.
func (r *runs) of(kind byte) *run { return &r[bytes.IndexByte(runKinds[:], kind)] }

// run is the rows of one kind.
type run struct {
	buf    []byte // keys and values
	rows   []runRow
	sorter runSorter
}

// runRow is a row that is to be set or deleted: run.buf[key:val] is its key,
// run.buf[val:end] its value.
type runRow struct {
	prefix        uint64 // the eight bytes of the key that follow its kind
	key, val, end uint32
	delete        bool
}

func (r *run) add(key, val []byte, del bool) {
	from := len(r.buf)
	r.buf = append(append(r.buf, key...), val...)
	r.rows = append(r.rows, runRow{
		prefix: be.Uint64(key[1:]), key: uint32(from), val: uint32(from + len(key)), end: uint32(len(r.buf)), delete: del,
	})
}

// size returns the memory that the run takes, bytes.
func (r *run) size() int { return len(r.buf) + len(r.rows)*runRowSize }

const runRowSize = int(unsafe.Sizeof(runRow{}))

// compare orders rows by their keys, and those of one key by their age.
func (r *run) compare(a, b runRow) int {
	if a.prefix != b.prefix {
		return cmp.Compare(a.prefix, b.prefix)
	}
	return cmp.Or(bytes.Compare(r.buf[a.key+9:a.val], r.buf[b.key+9:b.val]), cmp.Compare(a.key, b.key))
}

// sameKey says whether the n-th row has the key of the one that follows.
func (r *run) sameKey(n int) bool {
	if n+1 == len(r.rows) || r.rows[n].prefix != r.rows[n+1].prefix {
		return false
	}
	a, b := r.rows[n], r.rows[n+1]
	return bytes.Equal(r.buf[a.key:a.val], r.buf[b.key:b.val])
}

// into moves the rows to a batch, in order.
func (r *run) into(b *pebble.Batch) error {
	r.sorter.sort(r)
	for n := range r.rows {
		if r.sameKey(n) {
			continue
		}
		var err error
		if w := &r.rows[n]; w.delete {
			err = b.Delete(r.buf[w.key:w.val], nil)
		} else {
			err = b.Set(r.buf[w.key:w.val], r.buf[w.val:w.end], nil)
		}
		if err != nil {
			return err
		}
	}
	r.buf, r.rows = r.buf[:0], r.rows[:0]
	return nil
}

// set writes a row of one of runKinds.
func (a *Applier) set(key, val []byte) { a.runs.of(key[0]).add(key, val, false) }

// unset deletes a row of one of runKinds.
func (a *Applier) unset(key []byte) { a.runs.of(key[0]).add(key, nil, true) }

// fillRuns moves the runs to the batch.
func (a *Applier) fillRuns() error {
	for i := range a.runs {
		if err := a.runs[i].into(a.batch); err != nil {
			return err
		}
	}
	return nil
}

// deleteRange deletes the rows from lower to before upper that the index has by now; what
// the batch sets later stays.
func (a *Applier) deleteRange(lower, upper []byte) error {
	if err := a.fillRuns(); err != nil {
		return err
	}
	return a.batch.DeleteRange(lower, upper, nil)
}
