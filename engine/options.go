package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// Wire makes one attempt and fills in its result. *dispatch.Client is the one
// that runs; the simulator has its own. Do is called concurrently.
type Wire interface {
	Do(a *dispatch.Attempt, r *dispatch.Result)
}

// Options configure an engine. The zero value of every field but Dir and Wire
// works; the names in brackets are the configuration's.
type Options struct {
	Dir  string // the data directory; created with mode 0700 when missing
	Wire Wire

	FS   vfs.FS           // the disk under log and index. Default: the machine's
	Wall func() time.Time // the wall clock, which may step. Default: time.Now
	Rand io.Reader        // chance: nonces, identities, keys. Default: crypto/rand

	FsyncInterval time.Duration // [log.fsync] 0: sync before every ack
	SegmentSize   int64         // [log.segment-size] Default: 64 MiB
	ScrubRate     int64         // [log.scrub-rate] bytes per second; below zero: no scrub. Default: 4 MiB
	MemtableSize  int64         // [index.memtable] Default: 64 MiB
	CacheSize     int64         // [index.cache] Default: 64 MiB

	// MinFree is the floor under the free space of the file system: publishes are
	// refused below it. [data.min-free] Negative: no floor. Default: the smaller
	// of 512 MiB and a tenth of the file system.
	MinFree int64

	MessageMax     int           // [message.max-size] bytes of a body. Default: 1 MiB, at most 64 MiB
	ResponseMax    int           // [response.max-size] bytes kept of an answer's body. Default: 1 MiB, at most 64 MiB
	MaxDelay       time.Duration // [message.max-delay] Default: 365 days
	MaxRetries     int           // [message.max-retries] Default: 100
	AttemptTimeout time.Duration // [attempt.timeout] without Upstash-Timeout. Default: 15 min
	AttemptMax     time.Duration // [attempt.max-timeout] with it. Default: 2 h
	DedupWindow    time.Duration // [dedup.window] Default: 10 min

	HistoryAge  time.Duration // [retention.history] how long events are kept. Default: 14 days
	HistorySize int64         // [retention.history-size] bytes they may take on disk. Default: 4 GiB

	// DeadAge is how long dead letters are kept. [retention.dlq] Negative: for ever.
	// Default: 30 days.
	DeadAge time.Duration
	// BodiesAge keeps the bodies of messages that have ended, for replays, unless the disk
	// is full. [retention.bodies] Default: 0, they may go at any time
	BodiesAge time.Duration

	Parallelism     int // [delivery.parallelism] attempts in flight. Default: 1000
	HostParallelism int // [delivery.host-parallelism] of them to one host. Default: 100
	Resident        int // [delivery.resident] messages held in memory. Default: 500000

	Region string // announced in Upstash-Region. Default: EU-CENTRAL-1

	Logger *slog.Logger // Default: discard

	// Progress, if set, is told by Open, on its goroutine, what it is doing: at the
	// beginning of each stage, and about once per MiB of log that it gets through.
	Progress func(Progress)

	// OnFatal is told, once, why the engine can go on no longer (W8). The
	// process is expected to end within a second. Default: panic.
	OnFatal func(error)

	// Notify is told what an operator wants to hear of, one after the other. It must not
	// wait: notices that come meanwhile are dropped. Default: nobody.
	Notify func(Notice)

	// stallAfter is for tests. Default: the log's.
	stallAfter time.Duration

	// manual opens log and index without goroutines of their own: the simulator
	// decides when they commit, apply and flush.
	manual bool
	// scrubRest is a test's impatience with the scrub.
	scrubRest time.Duration
	// noRecent has attempts read their messages from the disk, for tests of what that does.
	noRecent bool
	// reclaimEvery is the time between rounds of reclaiming. Default: 1 s.
	reclaimEvery time.Duration
	// noHistory is index.Options.NoHistory.
	noHistory bool
	// expireEvery is the time between rounds of expiry. Default: a minute.
	expireEvery time.Duration
	// raiseEvery is index.Options.RaiseEvery.
	raiseEvery int
}

func (o *Options) withDefaults() {
	def(&o.FS, vfs.Default)
	if o.Wall == nil {
		o.Wall = time.Now
	}
	def(&o.Rand, io.Reader(rand.Reader))
	def(&o.SegmentSize, 64<<20)
	def(&o.ScrubRate, 4<<20)
	def(&o.MemtableSize, 64<<20)
	def(&o.CacheSize, 64<<20)
	def(&o.MessageMax, 1<<20)
	def(&o.ResponseMax, 1<<20)
	def(&o.MaxDelay, 365*24*time.Hour)
	def(&o.MaxRetries, 100)
	def(&o.AttemptTimeout, 15*time.Minute)
	def(&o.AttemptMax, 2*time.Hour)
	def(&o.DedupWindow, 10*time.Minute)
	def(&o.HistoryAge, 14*24*time.Hour)
	def(&o.HistorySize, 4<<30)
	def(&o.DeadAge, 30*24*time.Hour)
	def(&o.Parallelism, 1000)
	def(&o.HostParallelism, 100)
	def(&o.Resident, 500_000)
	def(&o.Region, "EU-CENTRAL-1")
	def(&o.reclaimEvery, time.Second)
	def(&o.expireEvery, time.Minute)
	def(&o.Logger, slog.New(slog.DiscardHandler))
	if o.OnFatal == nil {
		o.OnFatal = func(err error) { panic("engine: " + err.Error()) }
	}
}

// Progress says how far a recovery has come.
type Progress struct {
	Stage       string // "replaying the log"
	Done, Total int64  // bytes; both zero: nobody can tell
}

// tell calls Progress.
func (o *Options) tell(stage string, done, total int64) {
	if o.Progress != nil {
		o.Progress(Progress{stage, done, total})
	}
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o *Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("engine: Options.Dir is empty: name a data directory")
	case o.Wire == nil:
		return errors.New("engine: Options.Wire is nil")
	}
	return o.checkLimits()
}

// CheckLimits says all that is wrong with the limits, by the names that they have in the
// configuration. Open refuses what it refuses.
func (o Options) CheckLimits() error {
	o.withDefaults()
	return o.checkLimits()
}

func (o *Options) checkLimits() error {
	var errs []error
	if o.Resident < 1 {
		errs = append(errs, errors.New("delivery.resident must be at least 1"))
	}
	if o.DedupWindow < time.Second {
		errs = append(errs, fmt.Errorf("dedup.window of %s: allowed is 1s or more", o.DedupWindow))
	}
	l := o.Limits()
	return errors.Join(append(errs, l.validate(o.SegmentSize))...)
}
