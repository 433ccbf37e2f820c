package engine

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// An export is NDJSON, one object on each line, for people and other programs. The
// field "type" says what it is:
//
//	export       the first line: "format", and when it was made
//	account      exportAccount
//	token        exportToken: one that an account has besides its first
//	message      exportMessage: one that is pending
//	dead_letter  exportDead
//	schedule     exportSchedule
//	group        exportGroup
//	pull_queue   exportPull
//	end          the last line: how many of each there were. Without it the export is incomplete
//
// Times are RFC 3339 in UTC. A body is text in "body" if it is UTF-8, else
// "body_base64". What cannot be read has "damaged": true and what the index knows.
//
// Format 2 added schedules, format 3 groups and what goes to them, format 4 tokens, labels,
// what is redacted elsewhere, and pull queues: who reads an export to have everything must
// know them.
const exportFormat = 4

// ExportOptions say what an export shows.
type ExportOptions struct {
	// Secrets adds signing keys and the SHA-256 of tokens. The tokens themselves are
	// kept nowhere.
	Secrets bool
}

type exportHead struct {
	Type    string    `json:"type"`
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
}

type exportAccount struct {
	Type        string    `json:"type"`
	ID          UserID    `json:"id"`
	Name        string    `json:"name"`
	Dev         bool      `json:"dev"`
	Created     time.Time `json:"created"`
	TokenSHA256 string    `json:"token_sha256,omitempty"`
	CurrentKey  string    `json:"current_signing_key,omitempty"`
	NextKey     string    `json:"next_signing_key,omitempty"`
}

// exportContent is what goes to the destination.
type exportContent struct {
	URL        string      `json:"url,omitempty"`
	Method     string      `json:"method,omitempty"`
	Headers    [][2]string `json:"headers,omitempty"` // in order, names may repeat
	Body       *string     `json:"body,omitempty"`
	BodyBase64 []byte      `json:"body_base64,omitempty"`
	CallerIP   string      `json:"caller_ip,omitempty"`
}

type exportMessage struct {
	Type    string `json:"type"`
	ID      string `json:"id"` // of a dead letter: its own
	Message string `json:"message,omitempty"`
	User    UserID `json:"user"`
	exportContent
	Created    *time.Time    `json:"created,omitempty"`
	NotBefore  *time.Time    `json:"not_before,omitempty"` // as asked for
	Due        *time.Time    `json:"due,omitempty"`        // the next attempt
	Attempts   int           `json:"attempts"`             // made so far
	Retries    int           `json:"retries"`              // as asked for
	RetryDelay string        `json:"retry_delay,omitempty"`
	Schedule   string        `json:"schedule,omitempty"` // the one that published it
	Pull       *exportPulled `json:"pull,omitempty"`
	exportLine
	Damaged bool `json:"damaged,omitempty"`
}

type exportDead struct {
	exportMessage
	At              time.Time   `json:"at"`
	Status          int         `json:"response_status"` // 0: no response
	ResponseHeaders [][2]string `json:"response_headers,omitempty"`
	Response        *string     `json:"response_body,omitempty"`
	ResponseBase64  []byte      `json:"response_body_base64,omitempty"`
	Error           string      `json:"error,omitempty"`
}

type exportEnd struct {
	Type        string `json:"type"`
	Accounts    int    `json:"accounts"`
	Messages    int    `json:"messages"`
	DeadLetters int    `json:"dead_letters"`
	Schedules   int    `json:"schedules"`
	Groups      int    `json:"groups"`
	Tokens      int    `json:"tokens"`
	PullQueues  int    `json:"pull_queues"`
	Damaged     int    `json:"damaged"`
}

// Export writes an export to w, of what was answered before it and perhaps some of
// what came later: unlike a backup it is no point in time. Deliveries go on.
func (e *Engine) Export(ctx context.Context, w io.Writer, o ExportOptions) error {
	if err := e.catchUp(); err != nil {
		return err
	}
	x := exporter{e: e, json: json.NewEncoder(&untilClosed{ctx, e.stop, w}), end: exportEnd{Type: "end"}}
	x.json.SetEscapeHTML(false)
	err := x.json.Encode(exportHead{Type: "export", Format: exportFormat, Created: e.opts.Wall().UTC().Truncate(time.Second)})
	if err == nil {
		err = x.accounts(o.Secrets)
	}
	if err == nil {
		err = x.tokens(o.Secrets)
	}
	if err == nil {
		err = indexError(e.idx.Pending(x.message))
	}
	if err == nil {
		err = indexError(e.idx.AllDead(x.deadLetter))
	}
	if err == nil {
		err = indexError(e.idx.Schedules(x.schedule))
	}
	if err == nil {
		err = x.groups()
	}
	if err == nil {
		err = x.pulls(o.Secrets)
	}
	if err == nil {
		err = x.json.Encode(x.end)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

type exporter struct {
	e    *Engine
	json *json.Encoder
	end  exportEnd
}

func (x *exporter) accounts(secrets bool) error {
	set := x.e.users.set.Load()
	for _, a := range x.e.Accounts() {
		r := set.byID[a.ID]
		if r == nil {
			continue // defined since
		}
		out := exportAccount{Type: "account", ID: a.ID, Name: a.Name, Dev: a.Dev, Created: *utc(r.Created)}
		if secrets {
			out.TokenSHA256, out.CurrentKey, out.NextKey = hex.EncodeToString(r.TokenHash[:]), r.Current, r.Next
		}
		x.end.Accounts++
		if err := x.json.Encode(out); err != nil {
			return err
		}
	}
	return nil
}

// message exports one pending message. One that was moved since the walk began is
// looked up again, one that ended is left out.
func (x *exporter) message(row *record.Row) error {
	id := MessageID(row.Seq, row.Nonce)
	m := new(Message)
	err := x.e.readMessage(row, m)
	if errors.Is(err, wal.ErrNotFound) {
		if m, err = x.e.message(UserID(row.User), id); errors.Is(err, ErrNotFound) {
			return nil
		}
	}
	out := exportMessage{Type: "message", ID: id, User: UserID(row.User), Due: utc(row.Due), Attempts: int(row.Tries)}
	switch {
	case errors.Is(err, ErrDamaged):
		out.Damaged = true
		x.end.Damaged++
	case err != nil:
		return err
	default:
		out.fill(m)
		if out.Pull, err = x.pulled(row); err != nil {
			return err
		}
	}
	x.end.Messages++
	return x.json.Encode(out)
}

// deadLetter exports one dead letter, unless it was deleted since the walk began.
func (x *exporter) deadLetter(d *index.Dead) error {
	v := new(DeadLetter)
	err := x.e.viewDead(d, v)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	out := exportDead{At: v.At.UTC(), Status: v.ResponseStatus, ResponseHeaders: pairs(v.ResponseHeader), Error: v.Error}
	out.Type, out.ID, out.Message, out.User = "dead_letter", v.ID, v.Message.ID, UserID(d.User)
	out.Attempts = v.Attempts
	if out.Damaged = v.Error == ErrDamaged.Error(); out.Damaged {
		x.end.Damaged++
	} else {
		out.fill(&v.Message)
		out.Response, out.ResponseBase64 = textOrBytes(v.ResponseBody)
	}
	x.end.DeadLetters++
	return x.json.Encode(out)
}

func (m *exportMessage) fill(v *Message) {
	m.exportContent = contentOf(v.URL, v.Method, v.Header, v.Body, v.CallerIP)
	m.Created, m.NotBefore, m.Due = utc(v.Created.UnixMilli()), utc(v.NotBefore.UnixMilli()), utc(v.Due.UnixMilli())
	m.Attempts, m.Retries, m.RetryDelay, m.Schedule = v.Attempts, v.Retries, v.RetryDelay, v.ScheduleID
	m.exportLine = v.lineOut()
}

func contentOf(url, method string, header []Header, body []byte, ip string) exportContent {
	c := exportContent{URL: url, Method: method, Headers: pairs(header), CallerIP: ip}
	c.Body, c.BodyBase64 = textOrBytes(body)
	return c
}

// textOrBytes returns what of the two forms a body takes.
func textOrBytes(b []byte) (*string, []byte) {
	if utf8.Valid(b) {
		s := string(b)
		return &s, nil
	}
	return nil, b
}

func pairs(hs []Header) [][2]string {
	var out [][2]string
	for _, h := range hs {
		out = append(out, [2]string{h.Name, h.Value})
	}
	return slices.Clip(out)
}

// Export writes an export of a directory in which no server runs: it is recovered
// as by a start, and closed again, without a delivery. Lock must not have been
// called.
func (o *Offline) Export(ctx context.Context, w io.Writer, opts ExportOptions) (err error) {
	eo := o.options()
	eo.manual = true
	e, err := recoverEngine(eo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.closeFiles()) }()
	return e.Export(ctx, w, opts)
}

// options are those of an engine that is never started.
func (o *Offline) options() Options {
	eo := Options{Dir: o.dir, FS: o.fs, Wire: noWire{}, MinFree: -1, OnFatal: func(error) {}}
	eo.withDefaults()
	if size := o.segmentSize(); size > 0 {
		eo.SegmentSize = size
		eo.MessageMax = int(min(int64(eo.MessageMax), (size-metaMax*3/2-record.MoveOverhead-1<<16)/2)) // as segmentMin has it
		eo.ResponseMax = eo.MessageMax
	}
	return eo
}

// segmentSize returns the size of the newest segment, which those that a recovery
// makes should have too; zero if there is none.
func (o *Offline) segmentSize() int64 {
	names, err := o.fs.List(o.path("log"))
	if err != nil {
		return 0 // recovery will say why
	}
	slices.Sort(names)
	for _, name := range slices.Backward(names) {
		if !strings.HasSuffix(name, ".seg") {
			continue
		}
		info, err := o.fs.Stat(o.fs.PathJoin(o.path("log"), name))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	return 0
}

// noWire is for an engine that is never started.
type noWire struct{}

func (noWire) Do(*dispatch.Attempt, *dispatch.Result) {
	panic("engine: BUG: an attempt without a wire")
}
