package index

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// operation is one of a batch. It aliases the batch.
type operation struct {
	kind     pebble.InternalKeyKind
	key, val []byte
}

// arrange makes the open batch one whose rows are all in the order of their keys: the runs,
// and between them the few of other kinds, which are in the batch already. A batch of half a
// memtable or more, as small memtables have them, is not taken into the skip list: Pebble
// sorts it and makes a table of it, and what is in order is sorted by looking at it once.
//
// Ranges that are deleted stand where they do for what comes before and after them: such a
// batch is left as it is.
func (a *Applier) arrange() error {
	if a.ranges {
		return a.fillRuns()
	}
	others, err := operationsOf(a.batch)
	if err != nil {
		return err
	}
	a.makeRoom()
	a.batch, a.spare = a.spare, a.batch
	for i := range a.runs {
		n := 0
		for n < len(others) && others[n].key[0] < runKinds[i] {
			n++
		}
		if err := apply(a.batch, others[:n]); err != nil {
			return err
		}
		others = others[n:]
		if err := a.runs[i].into(a.batch); err != nil {
			return err
		}
	}
	return apply(a.batch, others)
}

// makeRoom empties spare, and has it take the rows without growing, which copies what there is each time. Of
// a batch that was half a memtable Pebble has kept the memory.
func (a *Applier) makeRoom() {
	const rowHead = 12 // at most: the kind, two lengths
	n := a.batch.Len()
	for i := range a.runs {
		n += len(a.runs[i].buf) + rowHead*len(a.runs[i].rows)
	}
	if n > a.x.batchRetained() {
		_ = a.spare.Close() // what it holds was moved
		a.spare = a.x.newBatch(n)
	}
	a.spare.Reset()
}

// operationsOf returns what a batch does, in the order of keys, and that of one key in the
// batch's own.
func operationsOf(b *pebble.Batch) ([]operation, error) {
	ops := make([]operation, 0, b.Count())
	for r := b.Reader(); len(r) > 0; {
		kind, key, val, ok, err := r.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		ops = append(ops, operation{kind, key, val})
	}
	slices.SortStableFunc(ops, func(a, b operation) int { return bytes.Compare(a.key, b.key) })
	return ops, nil
}

func apply(b *pebble.Batch, ops []operation) (err error) {
	for _, op := range ops {
		switch op.kind {
		case pebble.InternalKeyKindSet:
			err = b.Set(op.key, op.val, nil)
		case pebble.InternalKeyKindDelete:
			err = b.Delete(op.key, nil)
		case pebble.InternalKeyKindMerge:
			err = b.Merge(op.key, op.val, nil)
		default:
			err = fmt.Errorf("index: BUG: a batch with an operation of kind %s", op.kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
