package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
	"github.com/tidemill/tidemill/httpapi"
)

// config is what a server is started with, the same for dev and serve; only
// defaults differ. Names, meanings and defaults are those of DESIGN.md,
// "Configuration names and defaults"; settings() maps names to fields.
type config struct {
	Data        string // empty in dev: a temporary directory
	Listen      string
	AdminListen string // adminAuto, adminOff or an address

	MinFree       int64         // bytes; as in engine.Options: 0 is the default, negative none
	FsyncInterval time.Duration // 0: always
	SegmentSize   int64         // bytes
	ScrubRate     int64         // bytes per second; 0: off
	Memtable      int64
	Cache         int64

	MessageMax   int64
	BatchMax     int64
	MaxDelay     time.Duration
	MaxRetries   int
	DedupWindow  time.Duration
	InflightMax  int64
	ResponseMax  int64
	Attempt      time.Duration
	AttemptLimit time.Duration

	HistoryAge  time.Duration
	BodiesAge   time.Duration
	HistorySize int64
	DeadAge     time.Duration // 0: for ever

	Allow, Deny   []string
	AllowMetadata bool
	CAFile        string
	AllowPrivate  bool // dev; no name of its own

	Origins []string // of CORS

	Parallelism     int
	HostParallelism int
	Resident        int

	ShutdownTimeout time.Duration
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	day = 24 * time.Hour

	adminAuto = "auto" // dev: the API's port + 1000, off if that is taken
	adminOff  = "off"
)

func defaults() *config {
	return &config{
		Listen:          ":8080",
		AdminListen:     "127.0.0.1:9080",
		SegmentSize:     64 * mib,
		ScrubRate:       4 * mib,
		Memtable:        64 * mib,
		Cache:           64 * mib,
		MessageMax:      1 * mib,
		BatchMax:        100 * mib,
		MaxDelay:        365 * day,
		MaxRetries:      100,
		DedupWindow:     10 * time.Minute,
		InflightMax:     256 * mib,
		ResponseMax:     1 * mib,
		Attempt:         15 * time.Minute,
		AttemptLimit:    2 * time.Hour,
		HistoryAge:      14 * day,
		HistorySize:     4 * gib,
		DeadAge:         30 * day,
		Parallelism:     1000,
		HostParallelism: 100,
		Resident:        500_000,
		ShutdownTimeout: 10 * time.Second,
	}
}

// devDefaults are smaller on disk and open to this machine only.
func devDefaults() *config {
	c := defaults()
	c.Listen = "127.0.0.1:8080"
	c.AdminListen = adminAuto
	c.SegmentSize = 16 * mib
	c.AllowPrivate = true
	return c
}

// settings is the one table of names. A name a.b-c is the flag --a.b-c and the
// variable TIDEMILL_A_B_C.
func (c *config) settings() []setting {
	return []setting{
		{name: "data", value: (*textValue)(&c.Data), usage: "data directory"},
		{name: "listen", value: (*textValue)(&c.Listen), usage: "address of the API"},
		{name: "admin.listen", value: (*textValue)(&c.AdminListen), usage: "address for operators: pprof, /healthz, backup, accounts and tokens, or off; it takes no token, so keep it on loopback"},
		{name: "data.min-free", value: (*minFreeValue)(&c.MinFree), usage: "free space below which publishes get 507; auto: the smaller of 512MiB and 10 % of the file system"},
		{name: "log.fsync", alias: "fsync", value: (*fsyncValue)(&c.FsyncInterval), usage: "when an acknowledged message is on disk: always, or interval=DURATION, which loses that much in a power cut"},
		{name: "log.segment-size", value: (*sizeValue)(&c.SegmentSize), usage: "size of a log segment"},
		{name: "log.scrub-rate", value: (*rateValue)(&c.ScrubRate), usage: "how much of the log is checked for damage per second, in the background; 0: none"},
		{name: "index.memtable", value: (*sizeValue)(&c.Memtable), usage: "memory of the index for writes"},
		{name: "index.cache", value: (*sizeValue)(&c.Cache), usage: "memory of the index for reads"},
		{name: "message.max-size", value: (*sizeValue)(&c.MessageMax), usage: "longest body of a message, up to 64MiB; above: 413"},
		{name: "message.max-delay", value: (*durationValue)(&c.MaxDelay), usage: "longest delay of a message"},
		{name: "message.max-retries", value: (*countValue)(&c.MaxRetries), usage: "most retries of a message; above: 412"},
		{name: "batch.max-size", value: (*sizeValue)(&c.BatchMax), usage: "longest body of one /v2/batch call"},
		{name: "dedup.window", value: (*durationValue)(&c.DedupWindow), usage: "how long a deduplication id is remembered"},
		{name: "publish.inflight-bytes", value: (*sizeValue)(&c.InflightMax), usage: "bodies accepted and not yet committed, in all; above: 503"},
		{name: "attempt.timeout", value: (*durationValue)(&c.Attempt), usage: "time for one attempt that names none"},
		{name: "attempt.max-timeout", value: (*durationValue)(&c.AttemptLimit), usage: "longest Upstash-Timeout"},
		{name: "response.max-size", value: (*sizeValue)(&c.ResponseMax), usage: "how much of a destination's answer is kept"},
		{name: "retention.history", value: (*durationValue)(&c.HistoryAge), usage: "how long events are kept"},
		{name: "retention.history-size", value: (*sizeValue)(&c.HistorySize), usage: "how much of the disk events may take; the oldest go first"},
		{name: "retention.dlq", value: (*keepValue)(&c.DeadAge), usage: "how long dead letters are kept; 0: for ever"},
		{name: "retention.bodies", value: (*keepValue)(&c.BodiesAge), usage: "how long bodies of delivered messages are kept for replays, up to retention.history; 0: they may go at any time"},
		{name: "destinations.allow", value: (*listValue)(&c.Allow), usage: "CIDR, name or *.suffix, optionally with :port; repeatable"},
		{name: "destinations.deny", value: (*listValue)(&c.Deny), usage: "the same, refused; the more specific rule wins"},
		{name: "destinations.allow-metadata", value: (*flagValue)(&c.AllowMetadata), usage: "let messages reach the metadata services of clouds"},
		{name: "destinations.ca-file", value: (*textValue)(&c.CAFile), usage: "PEM file of certificate authorities that destinations are trusted by, beside the system's"},
		{name: "cors.origins", value: (*listValue)(&c.Origins), usage: "origins such as https://app.example.com whose pages may call the API; repeatable"},
		{name: "delivery.parallelism", value: (*countValue)(&c.Parallelism), usage: "attempts in flight, in all"},
		{name: "delivery.host-parallelism", value: (*countValue)(&c.HostParallelism), usage: "attempts in flight to one host"},
		{name: "delivery.resident", value: (*countValue)(&c.Resident), usage: "messages held in memory; more wait on disk"},
		{name: "shutdown.timeout", value: (*durationValue)(&c.ShutdownTimeout), usage: "time to finish what is in flight after SIGTERM"},
	}
}

// validate finds what only two settings together, or the command line, can get
// wrong. What one package alone can judge, that package's Options judge.
func (c *config) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, s := range c.settings() {
		if isZero(s.value) { // the packages below take zero for their default
			fail("%s must be above zero", s.name)
		}
	}
	if c.BatchMax < c.MessageMax {
		fail("batch.max-size (%s) is below message.max-size (%s): raise it, or no batch can carry such a message",
			formatSize(c.BatchMax), formatSize(c.MessageMax))
	}
	if c.InflightMax < c.MessageMax {
		fail("publish.inflight-bytes (%s) is below message.max-size (%s): raise it, or such a message is never accepted",
			formatSize(c.InflightMax), formatSize(c.MessageMax))
	}
	for _, origin := range c.Origins {
		if err := httpapi.CheckOrigin(origin); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Attempt > c.AttemptLimit {
		fail("attempt.timeout (%s) is above attempt.max-timeout (%s): raise the second or lower the first",
			delay.Format(c.Attempt), delay.Format(c.AttemptLimit))
	}
	return errors.Join(errs...)
}

// policyOptions are the rules for a server that listens at own.
func (c *config) policyOptions(own []netip.AddrPort) dispatch.PolicyOptions {
	return dispatch.PolicyOptions{
		Allow: c.Allow, Deny: c.Deny,
		AllowPrivate:  c.AllowPrivate,
		AllowMetadata: c.AllowMetadata,
		Own:           own,
	}
}

func (c *config) engineOptions() engine.Options {
	return engine.Options{
		Dir:             c.Data,
		MinFree:         c.MinFree,
		FsyncInterval:   c.FsyncInterval,
		SegmentSize:     c.SegmentSize,
		ScrubRate:       offIfZero(c.ScrubRate),
		MemtableSize:    c.Memtable,
		CacheSize:       c.Cache,
		MessageMax:      int(c.MessageMax),
		ResponseMax:     int(c.ResponseMax),
		MaxDelay:        c.MaxDelay,
		MaxRetries:      c.MaxRetries,
		AttemptTimeout:  c.Attempt,
		AttemptMax:      c.AttemptLimit,
		DedupWindow:     c.DedupWindow,
		HistoryAge:      c.HistoryAge,
		BodiesAge:       c.BodiesAge,
		HistorySize:     c.HistorySize,
		DeadAge:         offIfZero(c.DeadAge),
		Parallelism:     c.Parallelism,
		HostParallelism: c.HostParallelism,
		Resident:        c.Resident,
	}
}

// offIfZero turns the zero that switches something off into what the engine takes
// for that: its own zero is the default.
func offIfZero[T int64 | time.Duration](n T) T {
	if n == 0 {
		return -1
	}
	return n
}
