package wal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// queuedGroupsMax bounds the closed groups whose outcome is open. Beyond it
	// Reserve blocks: the disk is slower than the producers.
	queuedGroupsMax = 8

	// unsyncedBytesMax bounds the buffers that interval mode keeps for OnCommit
	// until the next sync; beyond it the log syncs early.
	unsyncedBytesMax = 8 << 20
)

// Log is an open log. All methods are safe for concurrent use, unless
// Options.Manual says otherwise.
//
// Two locks divide it. mu guards what producers touch and is held for some
// tens of nanoseconds, never across I/O. turn is the right to commit: who holds
// it owns the tail of the files. Lock order: turn, mu, then the leaves (pool,
// spares, readers).
type Log struct {
	opts     Options // as opened; MaxRecord is in maxRecord
	id       ID
	created  bool
	recovery Recovery
	scanned  scanProgress // used by Open alone
	spares   *spares
	readers  *readers
	pool     groupPool
	counters counters
	poisoned func(error) // Options.OnPoison, called as it asks for

	mu struct {
		sync.Mutex
		space *sync.Cond // signalled when settled groups or errors make Reserve worth another look

		head     *segment // where addresses are handed out; may be ahead of the files
		next     LSN      // of the next group to be opened
		open     *Group   // takes records; nil if none was asked for
		queue    []*Group // closed, in order, not yet taken by a commit
		batch    []*Group // taken by a commit, waiters not woken; changed by the holder of turn alone
		inFlight int      // closed and not settled: the queue and the batch in the committer's hands
		promised int      // segments begun at the head whose spare was not taken yet
		floor    LSN      // what the next segment's header will say (SetFloor)

		buffers    bufferSize    // of the next groups to be opened
		spareSince time.Duration // since when producers have waited for a spare, on stall's clock; zero: none does

		durable   Position
		closing   bool
		err       error // final: ErrClosed or a poison
		replaying bool  // Replay may still be called: nothing was reserved
	}

	// turn is held by whoever commits: a waiting producer, the committer
	// goroutine, Commit, WriteMark, Close.
	turn sync.Mutex
	tail tail // owned by the holder of turn

	stall stallWatch

	maxRecord atomic.Int64 // Options.MaxRecord, or what AllowRecord has made of it

	settled  atomic.Uint64               // LSN below which Wait returns nil
	readable atomic.Uint64               // LSN below which Read finds records
	segments atomic.Pointer[segmentList] // replaced by the holder of turn

	committer committer
	wg        sync.WaitGroup // committer and maker of spares
	closeOnce sync.Once
	closeErr  error
}

// tail is the end of the log as the holder of turn sees it.
type tail struct {
	file   vfs.File // the last segment, open for writing
	seg    *segment
	end    Position // behind the last group written
	synced LSN      // end of the durable prefix: the next group's mark

	unsynced      []*Group // written, not synced
	unsyncedBytes int      // of their buffers

	// markLags says that records, the last of which ends at lastRecord, lie above
	// the highest mark on disk.
	markLags   bool
	lastRecord LSN
	lastWrite  time.Time // of the last group
}

// Open opens the log in o.Dir, recovering what a crash left (W6), or creates
// it. On return everything the log holds is durable, its head is in a segment
// that no earlier process wrote to, and Replay may be called.
//
// The directory must not be in use by another Log; the caller holds a lock.
func Open(o Options) (*Log, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := &Log{opts: o}
	l.maxRecord.Store(int64(o.MaxRecord))
	l.stall.opened = time.Now()
	l.mu.space = sync.NewCond(&l.mu)
	l.mu.replaying = true
	l.spares = newSpares(&l.opts, &l.counters, l.spareChanged)
	l.readers = newReaders(o.FS, o.Dir, func() { kick(l.spares.work) })
	start := time.Now()
	if err := l.openDir(); err != nil {
		l.readers.close()
		l.closeFiles()
		return nil, err
	}
	l.recovery.Duration = time.Since(start)
	l.start()
	o.Logger.Info("wal: opened", "log", l.id.String(), "segments", l.recovery.Segments,
		"durable", l.Durable().LSN.String(), "kept", l.recovery.KeptBytes, "cut", l.recovery.CutBytes,
		"took", l.recovery.Duration)
	return l, nil
}

// start starts the goroutines, none in Manual mode.
func (l *Log) start() {
	if l.opts.Manual {
		l.poisoned = l.opts.OnPoison
		return
	}
	if l.opts.OnPoison != nil {
		l.poisoned = func(err error) { go l.opts.OnPoison(err) }
	}
	l.committer.init(l.checkStall)
	l.wg.Go(l.commitLoop)
	l.wg.Go(func() {
		label("spare")
		if err := l.spares.run(); err != nil {
			l.poison(err)
		}
	})
}

// ID returns the identity of the log.
func (l *Log) ID() ID { return l.id }

// Created reports whether this Open created the log.
func (l *Log) Created() bool { return l.created }

// Recovery returns what Open found and did.
func (l *Log) Recovery() Recovery { return l.recovery }

// First returns where the log begins. It rises when space is reclaimed (SetFloor).
func (l *Log) First() LSN { return (*l.segments.Load())[0].first }

// Durable returns the end of the durable prefix, a group boundary. OnCommit was
// or is about to be called for every group below it.
func (l *Log) Durable() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.durable
}

// Err returns nil while the log can be written to, then ErrClosed or an error
// that wraps ErrPoisoned and its cause.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// poison ends the log for writing (W8). The first cause is kept; nothing is
// acknowledged afterwards. Groups in a committer's hands are failed by it.
func (l *Log) poison(cause error) {
	l.mu.Lock()
	if l.mu.err != nil {
		l.mu.Unlock()
		return
	}
	l.mu.err = fmt.Errorf("%w: %w", ErrPoisoned, cause)
	l.failQueuedLocked()
	l.mu.Unlock()
	if l.poisoned != nil {
		l.poisoned(cause) // before the line, which may go to a disk that hangs
	}
	l.opts.Logger.Error("wal: a write or sync failed; nothing more will be written", "error", cause)
}

// failQueuedLocked wakes everybody who waits for a group that will never be
// written. The groups are left to the collector, not to the pool: producers may
// still be filling them.
func (l *Log) failQueuedLocked() {
	for _, g := range l.mu.queue {
		g.giveUpLocked()
	}
	if l.mu.open != nil {
		l.mu.open.giveUpLocked()
	}
	l.mu.queue, l.mu.open, l.mu.inFlight = nil, nil, 0
	l.mu.space.Broadcast()
}

// Close commits what is open, writes the final mark, syncs and closes the
// files. Every reserved record must have had its Done, or Close waits for it.
// It returns the first error it met, or the poison if the log has one. Further
// calls return the same.
func (l *Log) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	l.mu.Lock()
	l.mu.closing = true
	l.mu.space.Broadcast()
	l.mu.Unlock()
	close(l.spares.giveUp)

	l.turn.Lock()
	err := l.finish()
	l.turn.Unlock()

	close(l.spares.stop)
	l.committer.close()
	l.wg.Wait()
	l.readers.close()
	l.closeFiles()
	l.opts.Logger.Info("wal: closed", "durable", l.Durable().LSN.String())
	return err
}

// closeFiles closes what the log writes to. Spares stay on disk for the next
// start. What was written is synced by now or lost for good: a close error would
// say nothing new.
func (l *Log) closeFiles() {
	l.spares.close()
	if l.tail.file != nil {
		_ = l.tail.file.Close()
	}
}

// finish settles everything reserved so far and writes the final mark, unless
// that needs a segment that the full disk has no room for: what it would say is
// durable, and the next recovery rewrites what it cannot know to be. It returns
// the poison if there is one. Holds turn; Reserve refuses already.
func (l *Log) finish() error {
	err := l.mark()
	if errors.Is(err, ErrNoSpace) {
		l.opts.Logger.Warn("wal: closed without a final mark", "error", err)
		err = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err == nil {
		l.mu.err = ErrClosed
	}
	return err
}
