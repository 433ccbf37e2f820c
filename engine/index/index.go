package index

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// LayoutError says that the index was written by another version. It is a view:
// without its directory it is rebuilt from the log, but for the history of what the
// log no longer holds.
type LayoutError struct{ Found uint32 }

// Older says that an earlier version wrote the index.
func (e *LayoutError) Older() bool { return e.Found < layout }

func (e *LayoutError) Error() string {
	return fmt.Sprintf("index: layout %d, this version reads %d: use the version that wrote it, "+
		"or remove the index directory: it is rebuilt from the log, without history that is older than the log", e.Found, layout)
}

// Options configure an Index. Dir and FS are required.
type Options struct {
	FS       vfs.FS
	Dir      string
	Memtable int64 // bytes. Default: 64 MiB
	Cache    int64 // bytes. Default: 64 MiB
	// DedupWindow is how long a deduplication id is remembered. Default: 10 min.
	// Rows are kept in buckets of this length: changing it forgets what was seen.
	DedupWindow time.Duration
	// RaiseEvery is how many rows may be consumed before the applier asks for better
	// lane summaries. Default: 16,384
	RaiseEvery int
	// Quiet turns automatic compactions off, so that the simulator's disk sees
	// the same operations for the same seed.
	Quiet bool
	// NoHistory writes none, so that a benchmark can tell what it costs.
	NoHistory bool
	OnFatal   func(error) // told when Pebble cannot go on. Required
	Logger    *slog.Logger
}

// Index is the Pebble view. Reads are safe concurrently; writing is the
// Applier's.
type Index struct {
	db      *pebble.DB
	opts    Options
	applied atomic.Uint64 // LSN that reads are sure to see
	start   Position
	closing sync.RWMutex // held for reading by reads: Pebble panics when it is used after Close
	closed  bool
	seconds seconds

	batchMax int // bytes of memory with which a batch is full
}

// ErrClosed is returned by reads after Close.
var ErrClosed = errors.New("index: closed")

// enter keeps the index open until leave is called. It does not wait for a Close that
// is under way: that one may be waiting for a walk whose callback reads here.
func (x *Index) enter() (leave func(), err error) {
	if !x.closing.TryRLock() {
		return nil, ErrClosed
	}
	if x.closed {
		x.closing.RUnlock()
		return nil, ErrClosed
	}
	return x.closing.RUnlock, nil
}

// Open opens or creates the index.
func Open(o Options) (*Index, error) {
	if o.Memtable == 0 {
		o.Memtable = 64 << 20
	}
	if o.Cache == 0 {
		o.Cache = 64 << 20
	}
	if o.DedupWindow == 0 {
		o.DedupWindow = 10 * time.Minute
	}
	if o.RaiseEvery == 0 {
		o.RaiseEvery = raiseEvery
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkFormat(o.FS, o.Dir); err != nil {
		return nil, err
	}
	// Pebble begins files when it opens for writing. An index of a later version is left
	// as it is. What else is wrong the next lines find again.
	_, err := ReadPosition(o.FS, o.Dir)
	if le, ok := errors.AsType[*LayoutError](err); ok && !le.Older() {
		return nil, le
	}
	db, err := pebble.Open(o.Dir, pebbleOptions(&o))
	if err != nil {
		return nil, fmt.Errorf("open index %s: %w", o.Dir, err)
	}
	x := &Index{db: db, opts: o, batchMax: int(min(batchMemory, o.Memtable/batchMemtable))}
	if err := x.loadPosition(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

// l0Compaction is how many tables over one another begin a compaction of level 0. Each
// flush lays one over the pending rows of all lanes, and each compaction writes them all
// again. With eight instead of four a message that stays costs a fifth fewer bytes of
// tables (BenchmarkTraffic); a page of a lane then seeks in up to eight tables there.
const l0Compaction = 8

func pebbleOptions(o *Options) *pebble.Options {
	stopWrites := 20
	if o.Quiet {
		stopWrites = 1 << 30 // nothing compacts: writes that waited for it would wait for ever
	}
	po := &pebble.Options{
		FS:                          o.FS,
		DisableWAL:                  true, // the log is the index's log (PERFORMANCE.md, lesson 6)
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		CacheSize:                   o.Cache,
		MemTableSize:                uint64(o.Memtable),
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       l0Compaction,
		L0StopWritesThreshold:       stopWrites,
		MaxOpenFiles:                500,
		DisableAutomaticCompactions: o.Quiet,
		Logger:                      pebbleLogger{o.Logger, o.OnFatal},
	}
	// MinLZ leaves an eighth fewer bytes than Snappy does, in no more time (BenchmarkTraffic);
	// where it has no assembly this is Snappy. Without either, flushes and compactions
	// would write three times as much.
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	// Pebble's own looks ten times a second whether a compaction may begin, which is
	// most of what an idle server would do. With one compaction at a time one that waits
	// is granted when the other ends, and there is nothing to look for.
	po.CompactionConcurrencyRange = func() (lower, upper int) { return 1, 1 }
	po.Experimental.SpanPolicyFunc = spanOf
	po.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	return po
}

// pebbleLogger passes Pebble's lines on. Fatalf must not return: Pebble calls it
// when it cannot keep its promises, so the process is told to end and the caller
// waits for that.
type pebbleLogger struct {
	log     *slog.Logger
	onFatal func(error)
}

func (l pebbleLogger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

func (l pebbleLogger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.onFatal(fmt.Errorf("index: "+format, args...))
	select {}
}

func (x *Index) loadPosition() error {
	_, err := get(x.db, []byte{kindApplied}, func(v []byte) error { return decodePosition(v, &x.start) })
	x.applied.Store(x.start.LSN)
	return err
}

// newBatch returns a batch that keeps its memory from use to use.
func (x *Index) newBatch() *pebble.Batch {
	return x.db.NewBatch(pebble.WithMaxRetainedSizeBytes(2 * x.batchMax))
}

// Start returns the position that was on disk when the index was opened. Its
// LSN is 0 for a new index.
func (x *Index) Start() Position { return x.start }

// Applied returns the LSN up to which every record is visible to reads that
// begin now.
func (x *Index) Applied() uint64 { return x.applied.Load() }

// Checkpoint returns the durable position: what a power cut now would leave. It is
// read, never guessed (X2): one seek of the tables on disk, for callers that ask
// some times a second.
func (x *Index) Checkpoint() (Position, error) {
	leave, err := x.enter()
	if err != nil {
		return Position{}, err
	}
	defer leave()
	it, err := x.db.NewIter(&pebble.IterOptions{
		OnlyReadGuaranteedDurable: true, LowerBound: []byte{kindApplied}, UpperBound: []byte{kindApplied + 1},
	})
	if err != nil {
		return Position{}, err
	}
	defer it.Close()
	var p Position
	if it.First() {
		if err := decodePosition(it.Value(), &p); err != nil {
			return Position{}, err
		}
	}
	return p, it.Error()
}

// Flush makes everything applied durable. It blocks for the duration of the
// write; the applier may go on meanwhile.
func (x *Index) Flush() error { return x.db.Flush() }

// Close flushes and closes. It waits for reads that are
// under way; later ones fail with ErrClosed. It may be called twice.
func (x *Index) Close() error {
	x.closing.Lock()
	defer x.closing.Unlock()
	if x.closed {
		return nil
	}
	x.closed = true
	return errors.Join(x.db.Flush(), x.db.Close())
}

// Abandon closes without flushing: the simulator's crash.
func (x *Index) Abandon() error {
	x.closing.Lock()
	defer x.closing.Unlock()
	if x.closed {
		return nil
	}
	x.closed = true
	return x.db.Close()
}

// Row returns the pending row of a message.
func (x *Index) Row(seq uint64) (r record.Row, ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return r, false, err
	}
	defer leave()
	var k [16]byte
	ok, err = get(x.db, messageKey(k[:0], seq), func(v []byte) error { return decodeRow(v, &r) })
	return r, ok, err
}

// Dead returns one dead letter.
func (x *Index) Dead(user uint32, lsn uint64) (d Dead, ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return d, false, err
	}
	defer leave()
	var k [16]byte
	ok, err = get(x.db, deadKey(k[:0], user, lsn), func(v []byte) error { return decodeDead(v, &d) })
	return d, ok, err
}

// Dedup returns what was first accepted with this hash, if that was within the
// window that ends at now (unix ms). A clock that was set back by up
// to a window still finds what was accepted before.
func (x *Index) Dedup(user uint32, hash *[16]byte, now int64) (d Deduped, ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return d, false, err
	}
	defer leave()
	window := x.opts.DedupWindow.Milliseconds()
	for b := now/window + 1; b >= 0 && b >= now/window-1 && !ok; b-- {
		var k [32]byte
		_, err = get(x.db, dedupKey(k[:0], uint64(b), user, hash), func(v []byte) error {
			var at int64
			d, at, err = decodeDedup(v)
			ok = err == nil && now-at < window
			return err
		})
		if err != nil {
			return Deduped{}, false, err
		}
	}
	return d, ok, nil
}

// get calls fn with the key's value, and says whether there is one.
func get(r pebble.Reader, key []byte, fn func(v []byte) error) (bool, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the index: %w", err)
	}
	defer closer.Close()
	return true, fn(v)
}

// Users calls fn with the record of every account; p is valid during the call.
func (x *Index) Users(fn func(p []byte) error) error {
	return x.scan([]byte{kindUser}, []byte{kindUser + 1}, func(_, v []byte) error { return fn(v) })
}

// Lanes calls fn with every lane that has pending messages.
func (x *Index) Lanes(fn func(Lane) error) error {
	return x.scan([]byte{kindLane}, []byte{kindLane + 1}, func(k, v []byte) error {
		l, err := decodeLane(k, v)
		if err != nil {
			return err
		}
		return fn(l)
	})
}

func (x *Index) scan(lower, upper []byte, fn func(k, v []byte) error) error {
	return x.walk(lower, upper, false, func(k, v []byte) (bool, error) { return true, fn(k, v) })
}

// DeadLetters calls fn with a user's dead letters from the LSN from on, in
// order or backwards, until fn returns false.
func (x *Index) DeadLetters(user uint32, from uint64, backwards bool, fn func(*Dead) (bool, error)) error {
	lower, upper := deadKey(nil, user, 0), append(deadKey(nil, user, ^uint64(0)), 0)
	if backwards {
		upper = append(deadKey(nil, user, from), 0)
	} else {
		lower = deadKey(nil, user, from)
	}
	return x.walk(lower, upper, backwards, func(_, v []byte) (bool, error) {
		var d Dead
		if err := decodeDead(v, &d); err != nil {
			return false, err
		}
		return fn(&d)
	})
}
