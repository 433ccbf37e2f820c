package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/wal"
)

// Engine is a running engine. Its methods are safe for concurrent use.
//
// Goroutines around the core, each with one job and a bounded queue:
//
//	loop      owns the core: takes events, steps, carries out its commands
//	applier   owns the index's Applier: groups in, batches out
//	reader    reads pages for the loop, one after the other
//	scheduler logs ticks and definitions of schedules for the core
//	workers   make attempts, at most Limits.Parallelism
//	flusher   makes the index durable now and then (X2), finds history that is old (X6)
//	scrub     reads the log slowly, looking for damage (W7)
//	reclaimer gives up the log's oldest segments, after copying what counts (W10)
//	space     looks at the room on the disk
//	notices   tells people what happened
//	replayer  starts replays, which have a goroutine each
//	sweeper   ends messages of pull queues that nobody will receive any more
//
// The log's committer hands each group to loop and applier in log order. Lock
// order: users.mu, groups.change, pulls.change, replays.change, dedup.mu and defining, each held over an append, then the
// log's own; every other lock is a leaf.
type Engine struct {
	opts    Options                // as opened: what is among the limits is read there
	limits  atomic.Pointer[Limits] // in force; what it points to is never changed
	log     *wal.Log
	idx     *index.Index
	lock    io.Closer
	core    *core
	inbox   inbox
	coreLag atomic.Int64 // bytes of the group buffers in inbox

	inHand []appendCommand // decided, and not logged for want of room; owned by loop
	stuck  bool            // there are such; owned by loop

	applier   applierQueue
	visible   visible
	flusher   flusher
	waits     processorWait // owned by loop
	reads     chan pageCommand
	workers   workers
	recent    recent
	scheduler scheduler
	dedup     dedupTable
	limiting  sync.Mutex // held by SetLimits
	defining  sync.Mutex // held by the one definition that has a deduplication id
	claims    claims
	admission admission
	users     users
	hostIDs   dispatch.OriginMemo[uint64] // of the URLs of publishes, for hostKey
	groups    groups
	queues    queueBook
	pulls     pullBook
	sweeper   pullSweeper
	replays   replays
	health    health
	backup    sync.Mutex // held by the one that runs
	hostWalk  sync.Mutex // held by the one that walks (UserHosts)
	space     space
	notices   notices

	reclaimer reclaimer

	deadExpired atomic.Uint64 // since the start
	tally       tally         // what goroutines around the core count for operators

	closing  atomic.Bool // no more publishes
	fatalErr atomic.Pointer[error]
	stop     chan struct{} // closed to end the goroutines
	wg       sync.WaitGroup

	shutdownOnce sync.Once
	shutdownErr  error
	drained      chan struct{} // closed by the loop when nothing is in flight while draining
}

// Open opens the engine's data directory, recovers what a crash left, and
// starts delivering. The caller closes it with Shutdown.
func Open(o Options) (*Engine, error) {
	o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	e, err := recoverEngine(o)
	if err != nil {
		return nil, err
	}
	e.start()
	return e, nil
}

// recoverEngine opens the data directory and leaves the engine ready to start:
// the simulator goes on from here by itself.
func recoverEngine(o Options) (*Engine, error) {
	e := &Engine{opts: o, stop: make(chan struct{}), drained: make(chan struct{})}
	l := o.Limits()
	e.limits.Store(&l)
	e.inbox.init()
	e.applier.init()
	e.scheduler.init()
	e.sweeper.init()
	e.claims.init()
	e.notices.init()
	if err := e.open(); err != nil {
		return nil, errors.Join(err, e.closeFiles())
	}
	return e, nil
}

func (e *Engine) start() {
	e.space.opened.Store(true)
	e.reads = make(chan pageCommand, pagesInFlight)
	e.workers.init(e)
	e.countDead()
	e.wg.Go(stage("loop", e.loop))
	e.wg.Go(stage("apply", e.applyLoop))
	e.wg.Go(stage("page", e.readLoop))
	e.wg.Go(stage("schedule", e.scheduleLoop))
	e.wg.Go(stage("flush", e.flushLoop))
	e.wg.Go(stage("scrub", e.scrubLoop))
	e.wg.Go(stage("reclaim", e.reclaimLoop))
	e.wg.Go(stage("expire", e.expireLoop))
	e.wg.Go(stage("space", e.watchSpace))
	e.wg.Go(stage("notice", e.noticeLoop))
	e.wg.Go(stage("sweep", e.sweepLoop))
	e.wg.Go(stage("replay", e.replayLoop))
}

// countDead has the dead letters counted, which no row says. It runs before the applier
// does.
func (e *Engine) countDead() {
	n, err := e.applier.a.CountDead()
	if err != nil {
		return // it is closed
	}
	e.wg.Go(stage("count", func() {
		if err := n.Run(e.stopping); err != nil && !e.stopping() {
			e.opts.Logger.Warn("engine: the dead letters could not be counted, and metrics are without their number", slog.Any("error", err))
		}
	}))
}

// onCommit is the log's hand-over of a durable group, in log order (L5: nothing
// of it was seen before).
func (e *Engine) onCommit(g *wal.Group) {
	g.Retain()
	e.applier.push(g)
	if g.Len() == 0 {
		return
	}
	g.Retain()
	e.coreLag.Add(int64(g.Buffer()))
	e.inbox.push(event{kind: evGroup, group: g})
}

// fatal records why the engine cannot go on, tells the core and the process, and
// only then the operator: the line may go to a disk that hangs.
func (e *Engine) fatal(err error) {
	if !e.fatalErr.CompareAndSwap(nil, &err) {
		return
	}
	e.inbox.push(event{kind: evPoison})
	e.opts.OnFatal(err)
	e.opts.Logger.Error("engine: cannot go on", slog.Any("error", err))
}

// Ready is nil while the engine accepts publishes.
func (e *Engine) Ready() error {
	if err := e.fatalErr.Load(); err != nil {
		return fmt.Errorf("%w: %w", ErrLogFailed, *err)
	}
	if e.closing.Load() {
		return ErrClosed
	}
	if e.log.Stalled() {
		return errRefusedByStall
	}
	return nil
}

func (e *Engine) wallMillis() int64 { return e.opts.Wall().UnixMilli() }

// Shutdown stops accepting, waits until the attempts in flight have ended or ctx
// is done, makes everything durable and closes. An attempt that ctx cuts short
// is made again after the next start and uses up no retry. It may be called
// twice; both calls return the same.
//
// An index that waits for room on a full disk is left as it is, with the lock on
// the directory, until there is room or the process ends.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.shutdownOnce.Do(func() { e.shutdownErr = e.shutdown(ctx) })
	return e.shutdownErr
}

func (e *Engine) shutdown(ctx context.Context) error {
	e.closing.Store(true)
	e.inbox.push(event{kind: evDrain})
	cut := !e.waitDrained(ctx)
	if cut {
		e.opts.Logger.Warn("engine: shutdown.timeout has passed with attempts in flight; they are made again after the next start")
	}
	var err error
	if e.fatalErr.Load() == nil {
		err = e.log.Commit()
	}
	close(e.stop)
	e.inbox.wake()
	e.workers.end()
	ended := make(chan error, 1)
	go func() {
		e.wg.Wait()
		if !cut {
			e.workers.wg.Wait()
		}
		ended <- e.closeFiles()
	}()
	select {
	case closed := <-ended:
		return errors.Join(err, closed)
	case <-e.space.stuck:
		e.opts.Logger.Warn("engine: the disk is full: the index is not flushed, the next start replays the log")
		return errors.Join(err, e.closeLog())
	}
}

// drainSync is how often the log is synced while what is in flight ends, if it is not by
// itself: with log.fsync=interval outcomes would wait for the interval.
const drainSync = 20 * time.Millisecond

// waitDrained waits until nothing is in flight; it is false if ctx ends before.
func (e *Engine) waitDrained(ctx context.Context) bool {
	var sync <-chan time.Time
	if e.opts.FsyncInterval > 0 {
		t := time.NewTicker(drainSync)
		defer t.Stop()
		sync = t.C
	}
	for {
		select {
		case <-e.drained:
			return true
		case <-ctx.Done():
			return false
		case <-sync:
			_ = e.log.Commit() // what fails is final, and told to all (W8)
		}
	}
}

func (e *Engine) closeLog() error {
	if err := e.log.Close(); err != nil && e.fatalErr.Load() == nil {
		return fmt.Errorf("close the log: %w", err)
	}
	return nil
}

// closeFiles closes log, index and lock, in that order: the log's end is written
// before the index says how far it got.
func (e *Engine) closeFiles() error {
	var errs []error
	if e.log != nil {
		errs = append(errs, e.closeLog())
	}
	if e.idx != nil {
		if e.applier.a != nil && e.fatalErr.Load() == nil {
			errs = append(errs, e.applyRest())
		}
		errs = append(errs, e.idx.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}
