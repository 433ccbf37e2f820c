package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	fillBatch     = 100 // messages in a call
	fillers       = 8   // calls at one time
	fillAnswerMax = 64 << 10

	// fillPatience is how long a filler whose calls bring in nothing goes on: a server
	// may refuse for a while, when its index lags.
	fillPatience = 30 * time.Second
)

// fill publishes messages by POST /v2/batch, far faster than one by one. Their stamps have
// their due times on the wall clock, which must be the sink's.
type fill struct {
	server Server
	addr   string
	bodies *bodies
	side   uint64
	ledger *ledger

	// item is where a message goes and after how many full milliseconds.
	item func(seq uint64) (url string, delay time.Duration)

	samples samples // of what is not due in the run
}

func newFill(s Server, t *bodies, side uint64, item func(uint64) (string, time.Duration)) (*fill, error) {
	addr, err := hostOf(s.URL)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return &fill{server: s, addr: addr, bodies: t, side: side, ledger: newLedger(0), item: item}, nil
}

// run publishes n messages and returns when all are acknowledged.
func (f *fill) run(ctx context.Context, n int, timeout time.Duration) error {
	var left atomic.Int64
	left.Store(int64(n))
	every := n/(4*samplesMax)/fillBatch + 1 // calls for each one that is offered as samples
	errs := make([]error, fillers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			w := newWire(ctx, f.addr, timeout)
			defer w.close()
			w.most = fillAnswerMax
			c := &filling{fill: f, w: w, blank: f.bodies.blank(), every: every}
			for errs[i] == nil {
				k := left.Add(-fillBatch) + fillBatch
				if k <= 0 {
					return
				}
				errs[i] = c.publish(ctx, int(min(k, fillBatch)))
			}
			left.Store(0) // the others need not go on
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// follow tells Progress of a run of n messages, until end is called.
func (f *fill) follow(o *Common, side string, n int) (end func()) {
	return o.tell(func(time.Time) Progress {
		return Progress{Side: side, Doing: "filling", Done: f.ledger.acked.Load(), Total: int64(n)}
	})
}

// filling is one connection of a fill. Not safe for concurrent use.
type filling struct {
	*fill
	w     *wire
	blank []byte // a body
	head  []byte
	body  []byte   // of the call
	seqs  []uint64 // of its messages
	at    []int    // where their bodies are in it
	calls int
	every int
}

// fillAnswer is an element of the answer to a batch.
type fillAnswer struct {
	ID    string `json:"messageId"`
	Error string `json:"error"`
}

// publish sends k messages, and those that were refused again.
func (c *filling) publish(ctx context.Context, k int) error {
	c.seqs = c.seqs[:0]
	for range k {
		seq, err := c.ledger.open(nil)
		if err != nil {
			return err
		}
		c.seqs = append(c.seqs, seq)
	}
	for began := time.Now(); ; {
		refused, err := c.call()
		if err == nil || !refused || time.Since(began) > fillPatience {
			return err
		}
		if err := pause(ctx, errorPause); err != nil {
			return err
		}
	}
}

// call sends the messages of c.seqs and keeps there those that were refused.
func (c *filling) call() (refused bool, err error) {
	c.encode()
	if err := c.w.post(c.head, c.body); err != nil {
		no, ok := errors.AsType[*refusal](err)
		return ok && (no.status == fasthttp.StatusServiceUnavailable || no.status == fasthttp.StatusTooManyRequests), err
	}
	var answers []fillAnswer
	if err := json.Unmarshal(c.w.resp.Body(), &answers); err != nil || len(answers) != len(c.seqs) {
		return false, fmt.Errorf("%w: %d messages of a batch were answered by %.200q (%v)", ErrFailing, len(c.seqs), c.w.resp.Body(), err)
	}
	c.calls++
	again := c.seqs[:0]
	offer := c.calls%c.every == 0
	for i, a := range answers {
		seq := c.seqs[i]
		if a.ID == "" {
			again, err = append(again, seq), fmt.Errorf("%w: a message of a batch was refused: %s", ErrFailing, a.Error)
			continue
		}
		c.ledger.ack(seq)
		if _, delay := c.item(seq); offer && delay >= farLeast {
			c.samples.add(a.ID, string(c.body[c.at[i]:][:c.bodies.size()]))
		}
	}
	c.seqs = again
	return true, err
}

func (c *filling) encode() {
	b := append(c.body[:0], '[')
	c.at = c.at[:0]
	for i, seq := range c.seqs {
		if i > 0 {
			b = append(b, ',')
		}
		url, delay := c.item(seq)
		b = append(append(b, `{"destination":"`...), url...)
		b = append(b, `","headers":{"Upstash-Delay":"`...)
		b = strconv.AppendInt(b, delay.Milliseconds(), 10)
		b = append(b, `ms"},"body":"`...)
		c.bodies.putAt(c.blank, c.side, seq, c.bodies.wall()+delay)
		c.at = append(c.at, len(b))
		b = append(append(b, c.blank...), `"}`...)
	}
	c.body = append(b, ']')
	headers := []string{"Content-Type: application/json"}
	if c.server.Token != "" {
		headers = append(headers, "Authorization: Bearer "+c.server.Token)
	}
	c.head = postHead(c.addr, "/v2/batch", len(c.body), headers...)
}

// delayHeader asks for a delay in full milliseconds.
func delayHeader(d time.Duration) string {
	return "Upstash-Delay: " + strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// farLeast is longer than any run.
const farLeast = time.Hour

// farOff is a delay of an hour to a day: each message has one of its own, so that they are
// spread as those of many users are.
func farOff(seq uint64) time.Duration {
	const scatter = 0x9E3779B97F4A7C15 // 2^64 by the golden ratio: Fibonacci hashing
	return farLeast + time.Duration(seq*scatter>>32%82_800)*time.Second
}

// known looks up the samples, and how many messages wait in all, where the server tells
// that: least did before. What it does not know any more is lost.
func (f *fill) known(ctx context.Context, s Server, least int, timeout time.Duration) error {
	addr, err := hostOf(s.URL)
	if err != nil {
		return err
	}
	if err := f.samples.check(ctx, s, addr, f.bodies, timeout); err != nil || s.Admin == "" {
		return err
	}
	text, err := askAdmin(ctx, s.Admin, "/metrics")
	if err != nil {
		return err
	}
	switch n, err := metric(text, "tidemill_messages_pending"); {
	case err != nil:
		return err
	case int(n) < least:
		return fmt.Errorf("%w: %d messages wait, and not %d", ErrLost, int(n), least)
	}
	return nil
}
