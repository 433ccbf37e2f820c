package record

import (
	"maps"
	"reflect"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample has every field of a Message set.
func sample() Message {
	return Message{
		User: 7, Nonce: 0x0102030405060708, Due: 1_800_000_060_000, Created: 1_800_000_000_123,
		Lane: 0xA1A2A3A4A5A6A7A8, Host: 0xB1B2B3B4B5B6B7B8, Timeout: 30_000, Retries: 5, Method: 2,
		URL:        "https://example.com/a%20path?q=1",
		Header:     []Header{{"Content-Type", "application/json"}, {"X-Twice", "one"}, {"X-Twice", ""}},
		CallerIP:   "203.0.113.9",
		RetryDelay: "pow(2, retried) * 1000",
		DedupKey:   [16]byte{0: 0xD0, 15: 0xDF},
		FromDead:   FromDead{Dead: 0x0000_0003_0000_0200, Freed: sampleFreed},
		Body:       []byte(`{"order":42}`),
		BodyLen:    12,
	}
}

func sampleOutcome() Outcome {
	return Outcome{
		Row: Row{
			User: 7, Nonce: 0x0102030405060708, Seq: 1<<32 | 512, Pos: 1<<32 | 1024, Len: 333,
			Lane: 0xA1A2A3A4A5A6A7A8, Host: 0xB1B2B3B4B5B6B7B8, Due: 1_800_000_060_000, Tries: 2,
		},
		Kind: Retry, Next: 1_800_000_090_000, At: 1_800_000_061_500, Attempt: 3, Status: 503, Took: 1_499,
		Error:  "the destination answered 503",
		Header: []Header{{"Retry-After", "30"}, {"Server", "nginx"}},
		Body:   []byte("try again later"),
	}
}

func sampleUser() User {
	return User{
		ID: 7, Created: 1_800_000_000_000, Dev: true, TokenHash: [32]byte{0: 0xF0, 31: 0x0F},
		Name: "operator", Current: "sig_current", Next: "sig_next",
	}
}

var sampleFreed = Freed{Message: 1<<32 | 512, Outcome: 1<<32 | 2048, MessageLen: 300, OutcomeLen: 150}

func sampleDrop() DropDead { return DropDead{User: 7, Dead: 1<<32 | 2048, Freed: sampleFreed} }

func sampleMove() Move {
	m, o := sample(), sampleOutcome()
	o.Row.Pos = 2<<32 | 4096
	return Move{Row: o.Row, Dead: 1<<32 | 2048, Old: 1<<32 | 1024, OldLen: 333, What: MoveDeadMessage, Record: m.Append(nil)}
}

// sampleTickMessage is the message that a tick of sampleSchedule publishes.
func sampleTickMessage() Message {
	m := sample()
	m.FromDead, m.DedupKey = FromDead{}, [16]byte{}
	m.Flags, m.Schedule, m.Tick = FlagTick, "nightly", ScheduleTick{Time: 1_800_000_000_000, Next: 1_800_086_400_000}
	return m
}

var sampleTicks = Ticks{
	Last: 1_800_000_000_000, Next: 1_800_086_400_000,
	Run: 1_799_913_600_000, RunSeq: 1<<32 | 4096, RunNonce: 0x0102030405060708,
}

func sampleSchedule() Schedule {
	m := sample()
	m.FromDead, m.DedupKey, m.Created, m.Nonce, m.Due = FromDead{}, [16]byte{}, 0, 0, 5_000
	return Schedule{
		Flags: FlagPaused | FlagSeconds, User: 7, ID: "nightly", Cron: "CRON_TZ=Europe/Berlin 0 30 2 * * *", Created: 1_700_000_000_000,
		DedupKey: [16]byte{0: 0xD0, 15: 0xDF}, Defined: 1_750_000_000_000, Error: "missed: the server was down", DST: 2, Missed: 1, MissedMax: 100, Window: 86_400_000, Jitter: 60_000,
		Ticks: sampleTicks, Old: 1<<32 | 1024, OldLen: 444, Message: m.Append(nil),
	}
}

func sampleDropSchedule() DropSchedule {
	return DropSchedule{User: 7, ID: "nightly", Old: 1<<32 | 1024, OldLen: 444}
}

func sampleTick() Tick {
	return Tick{
		User: 7, ID: "nightly", At: 1_800_000_000_123, Ticks: sampleTicks, From: 1_799_913_600_000, To: 1_800_000_000_000,
		Count: 2, More: true, Error: "missed: the server was down",
	}
}

// samples returns one encoded record of each type, by name.
func samples() map[string][]byte {
	all := map[string][]byte{}
	for name, v := range sampleValues() {
		all[name] = v.Append(nil)
	}
	return all
}

// sampleValues returns what samples encodes.
func sampleValues() map[string]appender {
	m, o, u, d, v := sample(), sampleOutcome(), sampleUser(), sampleDrop(), sampleMove()
	c, x, k, t := sampleSchedule(), sampleDropSchedule(), sampleTick(), sampleTickMessage()
	all := lineSamples()
	maps.Copy(all, tokenSamples())
	maps.Copy(all, pullSamples())
	maps.Copy(all, map[string]appender{
		"message": &m, "outcome": &o, "user": &u, "dropdead": &d, "move": &v,
		"schedule": &c, "dropschedule": &x, "tick": &k, "message-tick": &t,
	})
	job := sampleJob()
	all["job"] = &job
	return all
}

// decodeAny decodes a payload of any type into a fresh value.
func decodeAny(p []byte) (any, error) {
	t, err := TypeOf(p)
	if err != nil {
		return nil, err
	}
	switch t {
	case TypeMessage:
		m := new(Message)
		return m, DecodeMessage(p, m)
	case TypeOutcome:
		o := new(Outcome)
		return o, DecodeOutcome(p, o)
	case TypeDropDead:
		d := new(DropDead)
		return d, DecodeDropDead(p, d)
	case TypeMove:
		m := new(Move)
		return m, DecodeMove(p, m)
	case TypeSchedule:
		s := new(Schedule)
		return s, DecodeSchedule(p, s)
	case TypeDropSchedule:
		d := new(DropSchedule)
		return d, DecodeDropSchedule(p, d)
	case TypeTick:
		k := new(Tick)
		return k, DecodeTick(p, k)
	case TypeQueue:
		q := new(Queue)
		return q, DecodeQueue(p, q)
	case TypeFlow:
		f := new(Flow)
		return f, DecodeFlow(p, f)
	case TypeGroup:
		g := new(Group)
		return g, DecodeGroup(p, g)
	case TypeJob:
		j := new(Job)
		return j, DecodeJob(p, j)
	case TypeDropGroup:
		d := new(DropGroup)
		return d, DecodeDropGroup(p, d)
	case TypePullQueue:
		q := new(PullQueue)
		return q, DecodePullQueue(p, q)
	case TypeFanout:
		f := new(Fanout)
		return f, DecodeFanout(p, f)
	case TypeToken:
		k := new(Token)
		return k, DecodeToken(p, k)
	case TypeDropToken:
		d := new(DropToken)
		return d, DecodeDropToken(p, d)
	case TypeDropUser:
		d := new(DropUser)
		return d, DecodeDropUser(p, d)
	default:
		u := new(User)
		return u, DecodeUser(p, u)
	}
}

type appender interface{ Append([]byte) []byte }

// sizer is what the types that know their size beforehand have.
type sizer interface{ Size() int }

// checkRoundTrip: v encodes to Size bytes behind what is there already, and
// these decode to v.
func checkRoundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, v appender,
) {
	t.Helper()
	const before = "before"
	p := v.Append([]byte(before))
	if string(p[:len(before)]) != before {
		t.Fatalf("Append changed what was there: %q", p[:len(before)])
	}
	p = p[len(before):]
	if s, ok := v.(sizer); ok && s.Size() != len(p) {
		t.Fatalf("Size says %d, Append added %d bytes", s.Size(), len(p))
	}
	got, err := decodeAny(p)
	if err != nil {
		t.Fatalf("decode what was encoded: %v\n%+v", err, v)
	}
	if !reflect.DeepEqual(normal(got), normal(v)) {
		t.Fatalf("round trip\n got %+v\nwant %+v", got, v)
	}
}

// normal makes no difference between empty and nil.
func normal(v any) any {
	switch v := v.(type) {
	case *Message:
		m := *v
		m.Flags = m.flags()
		m.Header, m.Body = orNil(m.Header), orNil(m.Body)
		return m
	case *Outcome:
		o := *v
		o.Header, o.Body = orNil(o.Header), orNil(o.Body)
		return o
	case *Group:
		g := *v
		g.Header, g.Endpoints = orNil(g.Header), orNil(g.Endpoints)
		return g
	case *Token:
		k := *v
		k.Queues, k.Groups, k.Hosts = orNil(k.Queues), orNil(k.Groups), orNil(k.Hosts)
		return k
	}
	return reflect.ValueOf(v).Elem().Interface()
}

func orNil[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

// text draws any bytes, not only UTF-8: header values are bytes.
func text(t *rapid.T, label string) string {
	return string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, label))
}

func drawHeaders(t *rapid.T) []Header {
	hs := make([]Header, rapid.IntRange(0, 6).Draw(t, "headers"))
	for i := range hs {
		hs[i] = Header{Name: text(t, "name"), Value: text(t, "value")}
	}
	return hs
}

func drawMessage(t *rapid.T) *Message {
	m := &Message{
		Flags: rapid.SampledFrom([]uint16{0, FlagZstd}).Draw(t, "flags"),
		User:  rapid.Uint32().Draw(t, "user"), Nonce: rapid.Uint64().Draw(t, "nonce"),
		Due: rapid.Int64().Draw(t, "due"), Created: rapid.Int64().Draw(t, "created"),
		Lane: rapid.Uint64().Draw(t, "lane"), Host: rapid.Uint64().Draw(t, "host"),
		Timeout: rapid.Uint32().Draw(t, "timeout"), Retries: rapid.Uint16().Draw(t, "retries"),
		Method: Method(rapid.IntRange(0, len(methods)-1).Draw(t, "method")),
		URL:    text(t, "url"), Header: drawHeaders(t), CallerIP: text(t, "ip"), RetryDelay: text(t, "retry delay"),
		Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"), BodyLen: rapid.Uint32().Draw(t, "body length"),
	}
	drawLineOf(t, m)
	drawLabels(t, m)
	if rapid.Bool().Draw(t, "redrive") {
		m.FromDead = FromDead{Dead: rapid.Uint64Min(1).Draw(t, "dead"), Freed: drawFreed(t)}
	}
	if rapid.Bool().Draw(t, "of a schedule") {
		m.Schedule = drawID(t)
		if rapid.Bool().Draw(t, "tick") {
			m.Flags |= FlagTick
			m.Tick = ScheduleTick{Time: nonZero(rapid.Int64().Draw(t, "time")), Next: rapid.Int64().Draw(t, "next")}
		}
	}
	if rapid.Bool().Draw(t, "dedup") {
		copy(m.DedupKey[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
	}
	return m
}

func drawRow(t *rapid.T) Row {
	return Row{
		User: rapid.Uint32().Draw(t, "user"), Nonce: rapid.Uint64().Draw(t, "nonce"), Seq: rapid.Uint64().Draw(t, "seq"),
		Pos: rapid.Uint64().Draw(t, "pos"), Len: rapid.Uint32().Draw(t, "len"), Lane: rapid.Uint64().Draw(t, "lane"),
		Host: rapid.Uint64().Draw(t, "host"), Due: rapid.Int64().Draw(t, "due"), Tries: rapid.Uint16().Draw(t, "tries"),
	}
}

func drawFreed(t *rapid.T) Freed {
	return Freed{
		Message: rapid.Uint64().Draw(t, "freed message"), MessageLen: rapid.Uint32().Draw(t, "its length"),
		Outcome: rapid.Uint64().Draw(t, "freed outcome"), OutcomeLen: rapid.Uint32().Draw(t, "its length"),
	}
}

func drawMove(t *rapid.T) *Move {
	m := &Move{
		Row: drawRow(t), Dead: rapid.Uint64().Draw(t, "dead"), Old: rapid.Uint64().Draw(t, "old"),
		OldLen: rapid.Uint32().Draw(t, "old length"), What: What(rapid.IntRange(int(MovePending), int(MoveDeadOutcome)).Draw(t, "what")),
	}
	m.Line = drawLine(t)
	if m.What == MoveDeadOutcome {
		m.Record = drawOutcome(t).Append(nil)
	} else {
		m.Record = drawMessage(t).Append(nil)
	}
	return m
}

func drawOutcome(t *rapid.T) *Outcome {
	o := &Outcome{
		Row:  drawRow(t),
		Kind: Kind(rapid.IntRange(int(Delivered), int(Canceled)).Draw(t, "kind")),
		Next: rapid.Int64().Draw(t, "next"), At: rapid.Int64().Draw(t, "at"), Attempt: rapid.Uint16().Draw(t, "attempt"),
		Status: rapid.Uint16().Draw(t, "status"), Took: rapid.Uint32().Draw(t, "took"),
		Error: text(t, "error"), Header: drawHeaders(t), Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
	}
	drawReports(t, o)
	return o
}

func drawUser(t *rapid.T) *User {
	u := &User{
		ID: rapid.Uint32().Draw(t, "id"), Created: rapid.Int64().Draw(t, "created"), Dev: rapid.Bool().Draw(t, "dev"),
		Name: text(t, "name"), Current: text(t, "current"), Next: text(t, "next"),
	}
	copy(u.TokenHash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
	return u
}

func drawDrop(t *rapid.T) *DropDead {
	return &DropDead{Flags: rapid.SampledFrom([]uint16{0, DropExpired}).Draw(t, "flags"), User: rapid.Uint32().Draw(t, "user"), Dead: rapid.Uint64().Draw(t, "dead"), Freed: drawFreed(t)}
}

// drawID draws the id of a schedule: any bytes, but not none.
func drawID(t *rapid.T) string {
	return string(rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "schedule"))
}

func nonZero(v int64) int64 {
	if v == 0 {
		return 1
	}
	return v
}

func drawTicks(t *rapid.T) Ticks {
	return Ticks{
		Last: rapid.Int64().Draw(t, "last"), Next: rapid.Int64().Draw(t, "next"), Run: rapid.Int64().Draw(t, "run"),
		RunSeq: rapid.Uint64().Draw(t, "run seq"), RunNonce: rapid.Uint64().Draw(t, "run nonce"),
	}
}

func drawSchedule(t *rapid.T) *Schedule {
	s := &Schedule{
		Flags: uint16(rapid.IntRange(0, int(scheduleFlags)).Draw(t, "flags")),
		User:  rapid.Uint32().Draw(t, "user"), ID: drawID(t), Cron: text(t, "cron"), Created: rapid.Int64().Draw(t, "created"),
		DST: rapid.Uint8().Draw(t, "dst"), Missed: rapid.Uint8().Draw(t, "missed"), MissedMax: rapid.Uint32().Draw(t, "missed max"),
		Window: rapid.Int64().Draw(t, "window"), Jitter: rapid.Uint32().Draw(t, "jitter"), Ticks: drawTicks(t),
		Old: rapid.Uint64().Draw(t, "old"), OldLen: rapid.Uint32().Draw(t, "old length"), Message: drawMessage(t).Append(nil),
		Defined: rapid.Int64().Draw(t, "defined"), Error: text(t, "error"),
	}
	if rapid.Bool().Draw(t, "dedup") {
		copy(s.DedupKey[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
	}
	return s
}

func drawDropSchedule(t *rapid.T) *DropSchedule {
	return &DropSchedule{
		User: rapid.Uint32().Draw(t, "user"), ID: drawID(t),
		Old: rapid.Uint64().Draw(t, "old"), OldLen: rapid.Uint32().Draw(t, "old length"),
	}
}

func drawTick(t *rapid.T) *Tick {
	return &Tick{
		User: rapid.Uint32().Draw(t, "user"), ID: drawID(t), At: rapid.Int64().Draw(t, "at"), Ticks: drawTicks(t),
		From: rapid.Int64().Draw(t, "from"), To: rapid.Int64().Draw(t, "to"), Count: rapid.Uint32().Draw(t, "count"),
		More: rapid.Bool().Draw(t, "more"), Error: text(t, "error"),
	}
}

func drawAny(t *rapid.T) appender {
	switch rapid.IntRange(0, 13).Draw(t, "type") {
	case 0:
		return drawMessage(t)
	case 1:
		return drawOutcome(t)
	case 2:
		return drawUser(t)
	case 3:
		return drawMove(t)
	case 4:
		return drawSchedule(t)
	case 5:
		return drawDropSchedule(t)
	case 6:
		return drawTick(t)
	case 7:
		return drawFanout(t)
	case 8:
		return drawQueue(t)
	case 9:
		return drawFlow(t)
	case 10:
		return drawGroup(t)
	case 11:
		return drawDropGroup(t)
	case 12:
		return drawTokenRecord(t)
	default:
		return drawDrop(t)
	}
}
