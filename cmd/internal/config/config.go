// Package config is what a server can be told: one struct (Config), one table of names
// (Config.Settings), and the sources they are read from (Sources): flags, the environment, a TOML
// file, files that hold a secret. Whatever prints names or values is generated from the table: the
// help, `tidemill config show` and `config example`, and the table in OPERATIONS.md.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
	"github.com/tidemill/tidemill/httpapi"
)

// Config is what a server is started with, the same for dev and serve; only
// defaults differ. Names, meanings and defaults are those of DESIGN.md,
// "Configuration names and defaults"; settings() maps names to fields.
type Config struct {
	Data        string // empty in dev: a temporary directory
	Listen      string
	AdminListen string // AdminAuto, AdminOff or an address
	UI          bool   // the dashboard, on Listen

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

	LogLevel  string // debug, info, warn or error
	LogFormat string // auto, json or text

	// The first account's token and signing keys; empty: those that it has.
	AuthToken   Secret
	AuthKey     Secret
	AuthNextKey Secret

	AlertsWebhook Secret // a URL, and often a secret one
	AlertsSecret  Secret // what its requests are signed with

	Warnings []string // of Load: what an operator should change, though it is no error

	files   secretFiles
	origins map[string]Origin // by name; one that is not there is a default
}

const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
	Day = 24 * time.Hour

	AdminAuto = "auto" // dev: the API's port + 1000, off if that is taken
	AdminOff  = "off"
)

func Default() *Config {
	return &Config{
		Listen:          ":8080",
		AdminListen:     "127.0.0.1:9080",
		UI:              true,
		SegmentSize:     64 * MiB,
		ScrubRate:       4 * MiB,
		Memtable:        64 * MiB,
		Cache:           64 * MiB,
		MessageMax:      1 * MiB,
		BatchMax:        100 * MiB,
		MaxDelay:        365 * Day,
		MaxRetries:      100,
		DedupWindow:     10 * time.Minute,
		InflightMax:     256 * MiB,
		ResponseMax:     1 * MiB,
		Attempt:         15 * time.Minute,
		AttemptLimit:    2 * time.Hour,
		HistoryAge:      14 * Day,
		HistorySize:     4 * GiB,
		DeadAge:         30 * Day,
		Parallelism:     1000,
		HostParallelism: 100,
		Resident:        500_000,
		ShutdownTimeout: 10 * time.Second,
		LogLevel:        "info",
		LogFormat:       "auto",
	}
}

// DevDefault are smaller on disk and open to this machine only.
func DevDefault() *Config {
	c := Default()
	c.Listen = "127.0.0.1:8080"
	c.AdminListen = AdminAuto
	c.SegmentSize = 16 * MiB
	c.AllowPrivate = true
	return c
}

// Development says whether these are settings of dev.
func (c *Config) Development() bool { return c.AllowPrivate }

// Settings is the one table of names. Its values are those of c.
func (c *Config) Settings() []Setting {
	return withFiles([]Setting{
		{Name: "data", Value: (*TextValue)(&c.Data), Usage: "data directory; dev takes a temporary one if there is none"},
		{Name: "listen", Value: (*TextValue)(&c.Listen), Usage: "address of the API"},
		{Name: "admin.listen", Value: (*TextValue)(&c.AdminListen), Usage: "address for operators: pprof, /healthz, backup, accounts and tokens, or off; it takes no token, so keep it on loopback"},
		{Name: "ui", Value: (*FlagValue)(&c.UI), Usage: "serve the dashboard at /ui/, on the address of the API"},
		{Name: "data.min-free", Value: (*MinFreeValue)(&c.MinFree), Usage: "free space below which publishes get 507; auto: the smaller of 512MiB and 10 % of the file system", Reload: true},
		{Name: "log.fsync", Alias: "fsync", Value: (*FsyncValue)(&c.FsyncInterval), Usage: "when an acknowledged message is on disk: always, or interval=DURATION, which loses that much in a power cut"},
		{Name: "log.segment-size", Value: (*SizeValue)(&c.SegmentSize), Usage: "size of a log segment"},
		{Name: "log.scrub-rate", Value: (*RateValue)(&c.ScrubRate), Usage: "how much of the log is checked for damage per second, in the background; 0: none", Reload: true},
		{Name: "index.memtable", Value: (*SizeValue)(&c.Memtable), Usage: "memory of the index for writes"},
		{Name: "index.cache", Value: (*SizeValue)(&c.Cache), Usage: "memory of the index for reads"},
		{Name: "message.max-size", Value: (*SizeValue)(&c.MessageMax), Usage: "longest body of a message, up to 64MiB; above: 413", Reload: true},
		{Name: "message.max-delay", Value: (*DurationValue)(&c.MaxDelay), Usage: "longest delay of a message", Reload: true},
		{Name: "message.max-retries", Value: (*CountValue)(&c.MaxRetries), Usage: "most retries of a message; above: 412", Reload: true},
		{Name: "batch.max-size", Value: (*SizeValue)(&c.BatchMax), Usage: "longest body of one /v2/batch call", Reload: true},
		{Name: "dedup.window", Value: (*DurationValue)(&c.DedupWindow), Usage: "how long a deduplication id is remembered"},
		{Name: "publish.inflight-bytes", Value: (*SizeValue)(&c.InflightMax), Usage: "bodies accepted and not yet committed, in all; above: 503", Reload: true},
		{Name: "attempt.timeout", Value: (*DurationValue)(&c.Attempt), Usage: "time for one attempt that names none", Reload: true},
		{Name: "attempt.max-timeout", Value: (*DurationValue)(&c.AttemptLimit), Usage: "longest Upstash-Timeout", Reload: true},
		{Name: "response.max-size", Value: (*SizeValue)(&c.ResponseMax), Usage: "how much of a destination's answer is kept", Reload: true},
		{Name: "retention.history", Value: (*DurationValue)(&c.HistoryAge), Usage: "how long events are kept", Reload: true},
		{Name: "retention.history-size", Value: (*SizeValue)(&c.HistorySize), Usage: "how much of the disk events may take; the oldest go first", Reload: true},
		{Name: "retention.dlq", Value: (*KeepValue)(&c.DeadAge), Usage: "how long dead letters are kept; 0: for ever", Reload: true},
		{Name: "retention.bodies", Value: (*KeepValue)(&c.BodiesAge), Usage: "how long bodies of delivered messages are kept for replays, up to retention.history; 0: they may go at any time", Reload: true},
		{Name: "destinations.allow", Value: (*ListValue)(&c.Allow), Usage: "CIDR, name or *.suffix, optionally with :port, that may be sent to though it is private; repeatable", Reload: true},
		{Name: "destinations.deny", Value: (*ListValue)(&c.Deny), Usage: "CIDR, name or *.suffix, optionally with :port, that is refused; the more specific rule wins; repeatable", Reload: true},
		{Name: "destinations.allow-metadata", Value: (*FlagValue)(&c.AllowMetadata), Usage: "let messages reach the metadata services of clouds", Reload: true},
		{Name: "destinations.ca-file", Value: (*TextValue)(&c.CAFile), Usage: "PEM file of certificate authorities that destinations are trusted by, beside the system's", Reload: true},
		{Name: "cors.origins", Value: (*ListValue)(&c.Origins), Usage: "origins such as https://app.example.com whose pages may call the API; repeatable", Reload: true},
		{Name: "delivery.parallelism", Value: (*CountValue)(&c.Parallelism), Usage: "attempts in flight, in all", Reload: true},
		{Name: "delivery.host-parallelism", Value: (*CountValue)(&c.HostParallelism), Usage: "attempts in flight to one host", Reload: true},
		{Name: "delivery.resident", Value: (*CountValue)(&c.Resident), Usage: "messages held in memory; more wait on disk"},
		{Name: "shutdown.timeout", Value: (*DurationValue)(&c.ShutdownTimeout), Usage: "time to finish what is in flight after SIGTERM", Reload: true},
		{Name: "logging.level", Value: &choiceValue{&c.LogLevel, logLevels}, Usage: "what the server logs: debug, info, warn or error, and what is worse", Reload: true},
		{Name: "logging.format", Value: &choiceValue{&c.LogFormat, logFormats}, Usage: "form of log lines: json, text, or auto, which is text on a terminal", Reload: true},
		{Name: "auth.token", Value: &c.AuthToken, Usage: "token of the first account, instead of one that is made", Reload: true},
		{Name: "auth.signing-key", Value: &c.AuthKey, Usage: "key that deliveries of the first account are signed with, instead of one that is made", Reload: true},
		{Name: "auth.next-signing-key", Value: &c.AuthNextKey, Usage: "key that its receivers accept as well, since it comes next", Reload: true},
		{Name: "alerts.webhook", Value: &c.AlertsWebhook, Usage: "URL that alerts are sent to", Reload: true},
		{Name: "alerts.webhook-secret", Value: &c.AlertsSecret, Usage: "key that alerts are signed with", Reload: true},
	}, &c.files)
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"auto", "json", "text"}
)

// Validate finds all that is wrong with values that can be read: alone, together, or for
// the packages that get them. It looks at no file.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, s := range c.Settings() {
		if isZero(s.Value) { // the packages below take zero for their default
			fail("%s must be above zero", s.Name)
		}
	}
	if c.BatchMax < c.MessageMax {
		fail("batch.max-size (%s) is below message.max-size (%s): raise it, or no batch can carry such a message",
			FormatSize(c.BatchMax), FormatSize(c.MessageMax))
	}
	if c.InflightMax < c.MessageMax {
		fail("publish.inflight-bytes (%s) is below message.max-size (%s): raise it, or such a message is never accepted",
			FormatSize(c.InflightMax), FormatSize(c.MessageMax))
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
	errs = append(errs, checkAddress("listen", c.Listen))
	if c.AdminListen != AdminAuto && c.AdminListen != AdminOff {
		errs = append(errs, checkAddress("admin.listen", c.AdminListen))
	}
	_, err := dispatch.NewPolicy(c.PolicyOptions(nil))
	errs = append(errs, err, c.EngineOptions().CheckLimits(), c.validateAuth())
	return errors.Join(errs...)
}

// checkAddress looks at the form of an address to listen on; whether it is there, and
// free, only listening tells.
func checkAddress(name, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%s %q is no address: want HOST:PORT or :PORT, such as 127.0.0.1:8080", name, addr)
	}
	return nil
}

// authMin is the fewest characters of what authenticates: who guesses has all the time
// in the world.
const authMin = 16

func (c *Config) validateAuth() error {
	var errs []error
	for _, s := range c.Settings() {
		if secret, ok := s.Value.(*Secret); ok && table(s.Name) == "auth" && *secret != "" && len(*secret) < authMin {
			errs = append(errs, fmt.Errorf("%s is too short: want at least %d characters, such as `openssl rand -hex 24` prints", s.Name, authMin))
		}
	}
	if c.AuthKey != "" && c.AuthKey == c.AuthNextKey {
		errs = append(errs, errors.New("auth.signing-key and auth.next-signing-key are the same: want two keys"))
	}
	return errors.Join(errs...)
}

// policyOptions are the rules for a server that listens at own.
func (c *Config) PolicyOptions(own []netip.AddrPort) dispatch.PolicyOptions {
	return dispatch.PolicyOptions{
		Allow: c.Allow, Deny: c.Deny,
		AllowPrivate:  c.AllowPrivate,
		AllowMetadata: c.AllowMetadata,
		Own:           own,
	}
}

func (c *Config) EngineOptions() engine.Options {
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
