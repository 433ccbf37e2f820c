package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/engine"
)

// Engine is what the wire needs of *engine.Engine. All methods are called
// concurrently. None keeps anything of its arguments after it returns, and what
// they return is the caller's.
type Engine interface {
	// Authenticate finds who shows a token. It is called before a request's body is
	// read, takes the same time for every wrong token and keeps no copy.
	Authenticate(token []byte) (*engine.Principal, bool)
	// Stands says whether Authenticate would still return p for the token that p is of.
	Stands(p *engine.Principal) bool
	AccountEngine
	// Limits returns the configured bounds. It is called for every request.
	Limits() engine.Limits
	// Publish returns when the message is on disk (I1), or with an error.
	Publish(p *engine.Publish) (engine.Receipt, error)
	// PublishBatch publishes all and waits once. The results are in order.
	PublishBatch(ps []engine.Publish) []engine.Result
	Message(u engine.UserID, id string) (*engine.Message, error)
	Cancel(u engine.UserID, id string) error
	// DeadLetters returns one page; cursor is "" on the last.
	DeadLetters(q engine.DeadLetterQuery) (items []engine.DeadLetter, cursor string, err error)
	DeadLetter(u engine.UserID, id string) (*engine.DeadLetter, error)
	DeleteDeadLetter(u engine.UserID, id string) error
	// RetryDeadLetter publishes its message again, as o changes it.
	RetryDeadLetter(u engine.UserID, id string, o *engine.RetryOptions) (messageID string, err error)
	// DefineSchedule creates or replaces a schedule and returns when that is on disk.
	DefineSchedule(s *engine.Schedule) (engine.ScheduleReceipt, error)
	// DefineSchedules is DefineSchedule of several, which wait for the disk together.
	DefineSchedules(ss []engine.Schedule) []engine.ScheduleResult
	Schedule(u engine.UserID, id string) (*engine.ScheduleInfo, error)
	// Schedules calls fn for each, by id, until it fails. fn may wait for a client
	// that reads slowly; the info is valid during the call.
	Schedules(u engine.UserID, fn func(*engine.ScheduleInfo) error) error
	DeleteSchedule(u engine.UserID, id string) error
	PauseSchedule(u engine.UserID, id string) error
	ResumeSchedule(u engine.UserID, id string) error
	// ScheduleTicks says when a schedule publishes next, n times.
	ScheduleTicks(u engine.UserID, id string, n int) ([]engine.PreviewTick, error)
	LineEngine
	PullEngine
	ManageEngine
	ExtraEngine
	EventEngine
	LegacyEngine
	Keys(u engine.UserID) (engine.Keys, error)
	RotateKeys(u engine.UserID) (engine.Keys, error)
	// Ready says whether publishes can be accepted, and why not.
	Ready() error
}

// Options configure a Server. The zero value of every field but Engine works;
// the names in brackets are the configuration's.
type Options struct {
	Engine Engine

	// CheckDestination refuses a destination at publish by its text alone: no
	// look-up happens. What it returns is shown to the producer after "invalid
	// destination url: ". Default: every http(s) URL passes.
	CheckDestination func(url string) error

	BatchMax      int64 // [batch.max-size] bytes of one /v2/batch call. Default: 100 MiB
	InflightBytes int64 // [publish.inflight-bytes] body bytes read and not yet answered, over all requests; 1 KiB more for each element of a batch. Default: 256 MiB
	HeaderMax     int   // bytes of a request's head, request line included. Default: 64 KiB

	// ReadTimeout bounds the reading of a head, and of each MiB begun of a body.
	ReadTimeout  time.Duration // Default: 30 s
	IdleTimeout  time.Duration // between two requests of one connection. Default: 2 min
	WriteTimeout time.Duration // of one response. Default: 30 s

	Concurrency   int // connections at one time; then idle ones and those without a whole head make room, else 503. Default: 16384
	Streams       int // of events at one time, half of them of one account; above: 429. Default: 64
	MaxConnsPerIP int // of them from one address. Default: unlimited

	// CORSOrigins are the origins whose pages may read answers, such as
	// https://app.example.com. [cors.origins] Default: none, and no header says anything.
	CORSOrigins []string

	// UI serves the dashboard at /ui/. [ui] Default: 404.
	UI bool

	// Fallback serves every path outside /v1, /v2, /llm, /ui and /healthz, without
	// authentication; bodies are complete, at most message.max-size long, and
	// bounded in sum by a quarter of InflightBytes. It must not hijack the
	// connection. Default: 404.
	Fallback fasthttp.RequestHandler

	Now    func() time.Time // the wall clock. Default: time.Now
	Logger *slog.Logger     // Default: discard
}

const (
	// urlMax bounds a destination (engine.Publish).
	urlMax = 8 << 10
	// batchItemsMax bounds the elements of one batch call, and so the memory
	// that a call takes beside its body.
	batchItemsMax = 100_000
	// jsonDepthMax bounds the nesting of a batch's JSON.
	jsonDepthMax = 64
	// fieldsMax bounds the header lines of one request.
	fieldsMax = 1000
	// readerSize is the buffer of a connection whose heads are small; it holds
	// the usual publish, body included, so that no byte of it is copied.
	readerSize = 4 << 10
)

func (o *Options) withDefaults() {
	def(&o.HeaderMax, 64<<10)
	def(&o.ReadTimeout, 30*time.Second)
	def(&o.IdleTimeout, 2*time.Minute)
	def(&o.WriteTimeout, 30*time.Second)
	def(&o.Concurrency, 16<<10)
	def(&o.Streams, 64)
	def(&o.Logger, slog.New(slog.DiscardHandler))
	if o.CheckDestination == nil {
		o.CheckDestination = func(string) error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
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
	case o.Engine == nil:
		return errors.New("httpapi: Options.Engine is nil")
	case o.HeaderMax < 1<<10 || o.HeaderMax > 1<<20:
		return fmt.Errorf("httpapi: a HeaderMax of %d bytes: allowed are 1 KiB to 1 MiB", o.HeaderMax)
	case o.ReadTimeout < 0 || o.IdleTimeout < 0 || o.WriteTimeout < 0:
		return errors.New("httpapi: a timeout is negative")
	case o.Concurrency < 1 || o.MaxConnsPerIP < 0 || o.Streams < 1:
		return errors.New("httpapi: Concurrency, MaxConnsPerIP and Streams must not be negative")
	}
	return nil
}
