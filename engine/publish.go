package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// submission is a publish on its way to the disk.
type submission struct {
	ticket    wal.Ticket
	nonce     uint64   // of the message, or of the first one of a fan-out
	members   []member // of a fan-out
	duplicate *seen    // this is a duplicate of it
}

// Publish stores one message and returns when it is on disk (W4). With p.Group set it
// does what PublishGroup does, and answers for the first endpoint. The engine keeps
// nothing of p.
func (e *Engine) Publish(p *Publish) (r Receipt, err error) {
	w := startWatch(p.Untimed)
	s, err := e.submit(p)
	if err == nil {
		w.end(&e.tally.append)
		r, err = e.settle(&s)
		w.end(&e.tally.durable)
	}
	e.tally.publish(r.Deduplicated, err)
	return r, err
}

// PublishBatch stores messages one by one and waits for all of them together:
// each has its own result, in order (QSTASH.md §3.7).
func (e *Engine) PublishBatch(ps []Publish) []Result {
	start := time.Now()
	out := make([]Result, len(ps))
	subs := make([]submission, len(ps))
	for i := range ps {
		subs[i], out[i].Err = e.submit(&ps[i])
	}
	start = e.tally.append.Since(start)
	for i := range subs {
		switch {
		case out[i].Err != nil:
		case ps[i].Group != "":
			out[i].Members, out[i].Err = e.settleMembers(&subs[i])
		default:
			out[i].Receipt, out[i].Err = e.settle(&subs[i])
		}
	}
	e.tally.durable.Since(start)
	e.tally.publishMany(out)
	return out
}

// submit puts the message into the open group.
func (e *Engine) submit(p *Publish) (submission, error) {
	m := messages.Get().(*scratchMessage)
	defer m.free()
	if err := e.build(p, m); err != nil {
		return submission{}, err
	}
	if p.Queue == "" {
		return e.submitBuilt(m)
	}
	if err := e.ensureQueue(p.User, p.Queue); err != nil {
		return submission{}, err
	}
	sub, err := e.submitBuilt(m)
	if err == nil { // it may have been deleted meanwhile: this message makes it anew, and the book must know
		_ = e.ensureQueue(p.User, p.Queue) // the message is logged: it counts, whatever becomes of this
	}
	return sub, err
}

// submitBuilt logs what build has made, unless it is a duplicate.
func (e *Engine) submitBuilt(m *scratchMessage) (submission, error) {
	if m.DedupKey != [16]byte{} {
		return e.submitUnique(m)
	}
	return e.logBuilt(m)
}

// logBuilt puts what was built into the open group.
func (e *Engine) logBuilt(m *scratchMessage) (submission, error) {
	if len(m.fan.Members) > 0 {
		return e.logFanout(&m.fan)
	}
	return e.logMessage(&m.Message)
}

// logMessage puts a record into the open group.
func (e *Engine) logMessage(m *record.Message) (submission, error) {
	t, err := e.log.Reserve(m.Size(), wal.Producer)
	if err != nil {
		return submission{}, refusal(err)
	}
	fill(&t, m.Append(t.Buf[:0]))
	e.log.Done(&t)
	if plant.Bug("refused-and-stored") && e.space.refusal() != nil {
		return submission{}, e.space.refusal()
	}
	return submission{ticket: t, nonce: m.Nonce}, nil
}

// settle waits until the message, or the original it duplicates, is durable.
func (e *Engine) settle(s *submission) (Receipt, error) {
	if s.duplicate != nil {
		return e.settleDuplicate(s.duplicate)
	}
	if err := e.log.Wait(&s.ticket); err != nil {
		return Receipt{}, logError(err)
	}
	return Receipt{MessageID: MessageID(uint64(s.ticket.LSN), s.nonce)}, nil
}

// What a disk that hangs means for a request: refused at the door, or logged, and
// stored if the disk goes on.
var (
	errRefusedByStall = fmt.Errorf("%w, nothing was stored: try again in a moment", ErrStalled)
	errInDoubt        = fmt.Errorf("%w, the outcome of this request is unknown: it is stored if the disk goes on", ErrStalled)
)

// logError turns an error of the log into one of the engine's.
func logError(err error) error {
	switch {
	case errors.Is(err, wal.ErrClosed):
		return ErrClosed
	case errors.Is(err, wal.ErrTooLarge):
		return ErrTooLarge
	case errors.Is(err, wal.ErrNoSpace):
		return fmt.Errorf("%w, nothing was stored: there is no room for the next segment of the log", ErrDiskFull)
	case errors.Is(err, wal.ErrStalled):
		return errInDoubt
	default:
		return fmt.Errorf("%w: %w", ErrLogFailed, err)
	}
}

// refusal is logError for a record that the log did not take.
func refusal(err error) error {
	if errors.Is(err, wal.ErrStalled) {
		return errRefusedByStall
	}
	return logError(err)
}

// scratchMessage is a record.Message with the memory its making needs.
type scratchMessage struct {
	record.Message
	zstd []byte
	rand chance
	fan  fan // has members if this is a publish to a group
}

var messages = sync.Pool{New: func() any { return new(scratchMessage) }}

// scratchMax bounds what a pooled scratchMessage keeps.
const scratchMax = 256 << 10

func (m *scratchMessage) free() {
	m.Message = record.Message{}
	if cap(m.zstd) > scratchMax {
		m.zstd = nil
	}
	m.fan.free()
	messages.Put(m)
}

// build checks a publish against the limits and turns it into a record.
func (e *Engine) build(p *Publish, m *scratchMessage) error {
	if p.Group != "" {
		return e.buildFanout(p, m)
	}
	if err := e.buildShared(p, m); err != nil {
		return err
	}
	host, err := e.hostKey(p.URL)
	if err != nil {
		return limitError("invalid destination url: %v", err)
	}
	m.URL, m.Nonce, m.Host = p.URL, m.rand.draw(e.opts.Rand), host
	m.Lane = laneTo(&m.Message, m.Host)
	return nil
}

// buildShared is build without a destination: what the members of a fan-out share.
func (e *Engine) buildShared(p *Publish, m *scratchMessage) error {
	if err := e.busyForPublish(); err != nil {
		return err
	}
	if err := e.checkLimits(p); err != nil {
		return err
	}
	now := p.Accepted
	if now.IsZero() {
		now = e.opts.Wall()
	}
	due, err := e.dueTime(p, now)
	if err != nil {
		return err
	}
	created := now.UnixMilli()
	if p.NotBefore.IsZero() && due > created {
		created = due - p.Delay.Milliseconds() // due was rounded up: so that the difference is the delay
	}
	m.Message = record.Message{
		User: uint32(p.User), Due: due, Created: created,
		Timeout: uint32(p.Timeout.Milliseconds()), Retries: uint16(p.Retries), Method: p.Method,
		Header: p.Trace.carry(p.Header), CallerIP: p.CallerIP, RetryDelay: p.RetryDelay, Labels: p.Labels, Redact: p.Redact,
	}
	if err := e.buildLine(p, &m.Message); err != nil {
		return err
	}
	m.zstd = m.SetBody(p.Body, m.zstd)
	m.DedupKey = dedupHash(p)
	return nil
}

// laneTo returns the lane of a message that goes to a host (L1).
func laneTo(m *record.Message, host uint64) uint64 {
	switch {
	case m.Queue != 0 && m.Ordering != "":
		return record.OrderingLane(m.Queue, m.Ordering)
	case m.Queue != 0:
		return m.Queue
	case m.Flow != 0:
		return record.FlowLane(m.Flow, host)
	}
	return host
}

// buildLine fills in what holds the message back besides its host, and what follows it.
func (e *Engine) buildLine(p *Publish, m *record.Message) (err error) {
	if p.Queue != "" {
		m.QueueName, m.Ordering = p.Queue, p.Ordering
		m.Line.Queue = record.QueueID(m.User, p.Queue)
	} else if p.Ordering != "" {
		return limitError("Tidemill-Ordering-Key needs a queue: use POST /v2/enqueue, or Upstash-Queue-Name")
	}
	if err := setFlow(m, &p.Flow); err != nil {
		return err
	}
	if m.Callback, err = e.template(p.Callback, p.User, p.Retries, &p.Trace); err != nil {
		return err
	}
	if m.Failure, err = e.template(p.Failure, p.User, p.Retries, &p.Trace); err != nil {
		return err
	}
	if metaSize(p)+len(m.Callback)+len(m.Failure) > metaMax-4096 {
		return errMeta
	}
	return nil
}

// busyForPublish says why no message can be taken now, whatever it is.
func (e *Engine) busyForPublish() error {
	if err := e.space.refusal(); err != nil && !plant.Bug("refused-and-stored") {
		return err
	}
	lagging := e.lagging()
	switch {
	case e.closing.Load():
		return ErrClosed
	case lagging != readerNone:
		e.admission.lagging[lagging].Add(1)
		return ErrOverloaded
	case !e.admission.admit(e.wallMillis):
		e.admission.lates.Add(1)
		return ErrOverloaded
	}
	return nil
}

func (e *Engine) checkLimits(p *Publish) error {
	switch {
	case len(p.Body) > e.limits.Load().MessageMax:
		return ErrTooLarge
	case metaSize(p) > metaMax-4096:
		return errMeta
	}
	if err := checkLabels(p); err != nil {
		return err
	}
	return e.checkTries(p.Retries, p.Timeout)
}

// checkTries checks how often and how long a message, or a callback, is tried.
func (e *Engine) checkTries(retries int, timeout time.Duration) error {
	l := e.limits.Load()
	switch {
	case retries < 0:
		return limitError("Upstash-Retries must be 0 or more")
	case retries > l.MaxRetries:
		return quotaError("quota maxRetries exceeded. Maximum allowed: %d", l.MaxRetries)
	case timeout < 0 || timeout > 0 && timeout < time.Millisecond:
		return limitError("Upstash-Timeout must be at least 1ms")
	case timeout > l.AttemptMax:
		return limitError("Upstash-Timeout of %s is longer than attempt.max-timeout, %s", timeout, l.AttemptMax)
	}
	return nil
}

var errMeta = limitError("destination, headers, callbacks and options together exceed %d bytes", metaMax-4096)

func metaSize(p *Publish) int {
	n := len(p.URL) + len(p.CallerIP) + len(p.RetryDelay) + len(p.Queue) + len(p.Ordering) + len(p.Flow.Key) + p.Trace.size()
	for i := range p.Header {
		n += len(p.Header[i].Name) + len(p.Header[i].Value) + 12
	}
	for _, s := range p.Labels {
		n += len(s) + 3
	}
	for _, s := range p.Redact.Names {
		n += len(s) + 3
	}
	return n
}

// dueTime returns when the message is due, unix ms.
func (e *Engine) dueTime(p *Publish, now time.Time) (int64, error) {
	at, field := now.Add(p.Delay), "Upstash-Delay"
	if !p.NotBefore.IsZero() {
		at, field = p.NotBefore, "Upstash-Not-Before"
	}
	if p.Delay < 0 {
		return 0, limitError("Upstash-Delay must not be negative")
	}
	if at.Before(now) {
		at = now
	}
	if most := e.limits.Load().MaxDelay; at.Sub(now) > most {
		return 0, limitError("%s lies further ahead than message.max-delay, %s", field, most)
	}
	if at.Equal(now) {
		return now.UnixMilli(), nil
	}
	// Rounded up to the next millisecond: never early (T3).
	return at.Add(time.Millisecond - 1).UnixMilli(), nil
}

// hostKey names the host pool that a destination belongs to.
func hostKey(url string) (uint64, error) {
	host, err := dispatch.HostKey(url)
	return hostID(host), err
}

// hostKey is the function of this name, for the URLs of publishes: of the usual one it
// knows the answer.
func (e *Engine) hostKey(url string) (uint64, error) {
	if id, ok := e.hostIDs.Get(url); ok {
		return id, nil
	}
	id, err := hostKey(url)
	if err == nil {
		e.hostIDs.Put(url, id)
	}
	return id, err
}

// hostID names a host pool, and the lane of its messages, by 64 bits. Two hosts
// that collide share a lane and its limits; nothing else depends on it.
func hostID(host string) uint64 { return xxhash.Sum64String(host) }

// chance draws numbers. It is memory for them, too: what is read through an
// interface escapes, so its owner should be one that lives on.
type chance [8]byte

func (c *chance) draw(r io.Reader) uint64 {
	if _, err := io.ReadFull(r, c[:]); err != nil {
		panic("engine: no random numbers: " + err.Error())
	}
	return binary.LittleEndian.Uint64(c[:])
}

// dedupHash returns the key by which a message is deduplicated, zero for none:
// of the caller's id, or of destination, body and what is forwarded (QSTASH.md
// §3.6). The two kinds cannot meet by accident: each hashes its own prefix.
func dedupHash(p *Publish) [16]byte {
	if p.DedupID == "" && !p.DedupContent {
		return [16]byte{}
	}
	h := sha256.New()
	part := func(b string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write([]byte(b))
	}
	if p.DedupID != "" {
		part("id")
		part(p.DedupID)
	} else {
		part("content")
		part(p.URL + p.Group) // no URL is a group's name
		for i := range p.Header {
			part(p.Header[i].Name)
			part(p.Header[i].Value)
		}
		h.Write(p.Body)
	}
	return [16]byte(h.Sum(nil))
}
