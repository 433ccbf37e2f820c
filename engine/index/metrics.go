package index

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Metrics is what an operator asks of Pebble.
type Metrics struct {
	DiskBytes     uint64 // all files, those that will be removed soon too
	Tables        int64
	MemtableBytes uint64
	ReadAmp       int // tables that a read may have to look into
	Debt          uint64
	CacheBytes    int64

	// Since the index was opened:
	WrittenBytes           uint64 // by flushes and compactions
	Flushes, Compactions   int64
	CacheHits, CacheMisses int64
}

// Metrics returns what there is now. It holds Pebble's lock for some 50 us.
func (x *Index) Metrics() (m Metrics, err error) {
	leave, err := x.enter()
	if err != nil {
		return m, err
	}
	defer leave()
	p := x.db.Metrics()
	t := p.Total()
	return Metrics{
		DiskBytes: p.DiskSpaceUsage(), Tables: t.TablesCount, MemtableBytes: p.MemTable.Size, ReadAmp: p.ReadAmp(),
		Debt: p.Compact.EstimatedDebt, CacheBytes: p.BlockCache.Size,
		WrittenBytes: tableBytes(p), Flushes: p.Flush.Count, Compactions: p.Compact.Count,
		CacheHits: p.BlockCache.Hits, CacheMisses: p.BlockCache.Misses,
	}, nil
}

// WrittenBytes returns how many bytes flushes and compactions have written since
// the index was opened.
func (x *Index) WrittenBytes() uint64 {
	leave, err := x.enter()
	if err != nil {
		return 0
	}
	defer leave()
	return tableBytes(x.db.Metrics())
}

// tableBytes sums up what the levels have written. Pebble's own total counts what was
// flushed once more, for a write-ahead log that there is none of.
func tableBytes(p *pebble.Metrics) (n uint64) {
	for i := range p.Levels {
		n += p.Levels[i].TableBytesFlushed + p.Levels[i].TableBytesCompacted
	}
	return n
}

// HistoryExtent returns how many bytes history takes on disk, without what no flush has
// written yet, and when it begins, unix s; 0: there is none.
func (x *Index) HistoryExtent() (bytes, oldest int64, err error) {
	leave, err := x.enter()
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	first, found, err := x.timeRow(0, 1<<62, false)
	if err != nil || !found {
		return 0, 0, err
	}
	bytes, err = x.historySize(first)
	return bytes, first.unix, err
}

// deadCount is the number of dead letters. No row has it: it would be in every batch in
// which one comes or goes, for those who look at metrics. So they are counted once after
// each start, beside everything else, and from there on along with the batches.
type deadCount struct {
	open    int64        // that the open batch adds, less those that it takes
	change  atomic.Int64 // so, of all batches since the index was opened
	before  atomic.Int64 // how many there were then
	counted atomic.Bool  // before is known
}

func (d *deadCount) flushed() {
	d.change.Add(d.open)
	d.open = 0
}

// DeadLetters returns how many there are as of the last batch; known is false until they
// were counted. It may be called by anyone.
func (a *Applier) DeadLetters() (n int64, known bool) {
	return max(a.dead.before.Load()+a.dead.change.Load(), 0), a.dead.counted.Load()
}

// DeadCounter counts the dead letters that there are as of a moment.
type DeadCounter struct {
	x      *Index
	d      *deadCount
	moment *pebble.Snapshot
	change int64
	leave  func()
}

// CountDead begins to count. It is the owner's of the Applier to call; Run may be called by
// anyone, once, and before the index is closed.
func (a *Applier) CountDead() (*DeadCounter, error) {
	leave, err := a.x.enter()
	if err != nil {
		return nil, err
	}
	return &DeadCounter{x: a.x, d: &a.dead, moment: a.x.db.NewSnapshot(), change: a.dead.change.Load(), leave: leave}, nil
}

// stopLook is after how many dead letters it is looked whether counting is to end.
const stopLook = 4096

// Run counts until it is done or stop says so.
func (c *DeadCounter) Run(stop func() bool) (err error) {
	defer c.leave()
	defer func() { err = errors.Join(err, c.moment.Close()) }()
	it, err := c.moment.NewIter(&pebble.IterOptions{LowerBound: []byte{kindDead}, UpperBound: []byte{kindDead + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	n := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%stopLook == 0 && stop() {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("count dead letters: %w", err)
	}
	c.d.before.Store(n - c.change)
	c.d.counted.Store(true)
	return nil
}
