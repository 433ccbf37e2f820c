package bench

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// The kinds of messages of a soak, and what their stamps say as the side.
const (
	soakNow     = iota // due at once
	soakLater          // due after a while
	soakQueue          // in a queue
	soakCalled         // with a callback
	soakRetried        // its first attempt fails
	soakGroup          // to a URL group
	soakKinds
)

// soakMembers is how many endpoints the URL group has.
const soakMembers = 3

// What a soak waits for: an arrival of each kind's message, the callback of soakCalled, and
// one arrival for each member of the group. soakGroup stands for its first member.
const (
	soakCallback = soakKinds + iota
	soakMember2
	soakMember3
	soakArrivals
)

var soakNames = [soakArrivals]string{
	"due at once", "delayed", "of a queue", "with a callback", "retried", "first member of a group",
	"callbacks", "second member of a group", "third member of a group",
}

// soakWants is what follows from a message of each kind.
var soakWants = [soakKinds][]int{
	{soakNow},
	{soakLater},
	{soakQueue},
	{soakCalled, soakCallback},
	{soakRetried},
	{soakGroup, soakMember2, soakMember3},
}

// Paths of a soak's sink. The others are of messages that arrive at their first attempt.
const (
	callbackPath = "/callback"
	flakyPath    = "/flaky"
	memberPath   = "/member/" // and the side
)

// soakSink is a sink that knows what follows from a message beside its arrival.
type soakSink struct {
	*sink
	all [soakArrivals]*ledger
}

func openSoakSink(hosts int, b *bodies) (*soakSink, error) {
	s, err := openSink(0, soakArrivals, b)
	if err != nil {
		return nil, err
	}
	k := &soakSink{sink: s}
	s.clock = b.wall
	for i := range k.all {
		k.all[i] = newLedger(0)
		s.ledgers[i].Store(k.all[i])
	}
	listeners, err := listenLoopback("127.0.0", hosts)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for _, ln := range listeners {
		s.hosts = append(s.hosts, ln.Addr().String())
		s.serve(ln, k.receive)
	}
	return k, nil
}

// open gives out the number of a message of a kind, the same in all of its ledgers.
func (k *soakSink) open(kind int) uint64 {
	wants := soakWants[kind]
	seq, _ := k.all[wants[0]].open(nil) // no backlog: no error
	for _, i := range wants[1:] {
		raise(&k.all[i].next, seq+1)
	}
	return seq
}

// settle notes in a message's ledgers how its publish ended.
func (k *soakSink) settle(kind int, seq uint64, err error) {
	for _, i := range soakWants[kind] {
		_ = k.all[i].settle(seq, err) // which it returns
	}
}

// missing is how much has not arrived of what must, and of which kinds.
func (k *soakSink) missing() (what string, n int64) {
	for i, l := range k.all {
		if m := l.missing(); m > 0 {
			n += m
			what += ", " + strconv.FormatInt(m, 10) + " " + soakNames[i]
		}
	}
	return strings.TrimPrefix(what, ", "), n
}

// arrived is as a ledger's, of all kinds.
func (k *soakSink) arrived(phase int32) (done, total int64) {
	for _, l := range k.all {
		d, t := l.arrived(phase)
		done, total = done+d, total+t
	}
	return done, total
}

func (k *soakSink) duplicates() (n int64) {
	for _, l := range k.all {
		n += l.duplicates.Load()
	}
	return n
}

// receive is the handler.
func (k *soakSink) receive(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	if path == flakyPath && string(ctx.Request.Header.Peek("Upstash-Retried")) == "0" {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		return
	}
	if err := k.note(path, ctx.Request.Body()); err != nil {
		k.spoil(ctx, err)
	}
}

func (k *soakSink) note(path string, body []byte) error {
	now := k.clock()
	side := -1
	if member, ok := strings.CutPrefix(path, memberPath); ok {
		side, _ = strconv.Atoi(member) // ours: makeGroup made it
	}
	if path == callbackPath {
		var err error
		if body, err = callbackSource(body); err != nil {
			return err
		}
		side = soakCallback
	}
	stamp, ours, err := k.bodies.read(body)
	if err != nil || !ours {
		return err
	}
	if side >= 0 {
		stamp.side = uint64(side)
	}
	return k.sink.take(stamp, now)
}

// callbackSource is the body of the message that a callback tells of. It must have been
// delivered.
func callbackSource(callback []byte) ([]byte, error) {
	var c struct {
		Status     int    `json:"status"`
		SourceBody string `json:"sourceBody"`
	}
	if err := json.Unmarshal(callback, &c); err != nil {
		return nil, fmt.Errorf("%w: a callback: %w: %.200q", ErrCorrupt, err, callback)
	}
	if c.Status != fasthttp.StatusOK {
		return nil, fmt.Errorf("%w: a callback of status %d: %.200q", ErrCorrupt, c.Status, callback)
	}
	body, err := base64.StdEncoding.DecodeString(c.SourceBody)
	if err != nil {
		return nil, fmt.Errorf("%w: a callback: %w", ErrCorrupt, err)
	}
	return body, nil
}
