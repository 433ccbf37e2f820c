package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// recorded is a delivery whose messages belong to lanes. What is promised of them is
// checked after each round from what the receiver recorded.
type recorded struct {
	delivery
	witness  *witness
	rec      *recorder
	server   Server
	addr     string
	ledgers  []*ledger // by lane
	verify   VerifyOptions
	verdicts []*Verdict
}

// openRecorded makes the receiver, with one ledger for each lane. more sides are delivered
// to it and not recorded. The caller closes it.
func openRecorded(o *DeliverOptions, server Server, lanes []lane, more int, out io.Writer) (r *recorded, err error) {
	r = &recorded{server: server}
	r.o, r.bodies = o, newBodies(o.BodyBytes)
	if r.addr, err = hostOf(server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if r.rec, err = newRecorder(out); err != nil {
		return nil, err
	}
	if r.witness, err = openWitness(o.Hosts, lanes, more, r.bodies, r.rec); err != nil {
		return nil, err
	}
	r.sink = r.witness.sink
	return r, nil
}

// open gives each lane its ledger.
func (r *recorded) open(ledger func() *ledger) {
	for i := range r.witness.lanes {
		l := ledger()
		r.ledgers = append(r.ledgers, l)
		r.sink.ledgers[i].Store(l)
	}
}

func (r *recorded) close() error { return errors.Join(r.sink.close(), r.rec.close()) }

// contender is the side of all lanes.
func (r *recorded) contender(name string, producers func(context.Context, int) ([]operation, func())) contender {
	return contender{
		name:      name,
		pid:       r.server.PID,
		producers: producers,
		begin: func(_ context.Context, m *meter) error {
			r.sink.meter.Store(m)
			return nil
		},
		finish:     r.finish,
		damaged:    r.sink.damaged,
		duplicates: r.duplicates,
	}
}

// publish sends the next message of a lane, which has n numbers in its ledger. An error is
// that of the request.
func (r *recorded) publish(lane uint64, n int, w *wire, head, body []byte, stop <-chan struct{}) error {
	l := r.ledgers[lane]
	seq, err := l.openMany(n, stop)
	if err != nil {
		return err
	}
	p := promise{seq: seq, sent: r.bodies.elapsed()}
	r.bodies.putAt(body, lane, seq, p.sent)
	if err = w.post(head, body); err == nil {
		p.acked = r.bodies.elapsed()
	}
	r.rec.published(lane, p)
	for i := range uint64(n) {
		if err != nil {
			l.abandon(seq + i)
		} else {
			l.ack(seq + i)
		}
	}
	return err
}

// finish waits for what is under way and checks the round.
func (r *recorded) finish(ctx context.Context) error {
	defer r.sink.meter.Store(nil)
	for deadline := time.Now().Add(r.o.DrainTimeout); r.under() && r.sink.damaged() == nil; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %d had not arrived after %v", ErrLost, r.missing(), r.o.DrainTimeout)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	if err := r.sink.damaged(); err != nil {
		return err
	}
	round, err := r.rec.cut()
	if err != nil {
		return err
	}
	v, err := VerifyRecording(round, r.verify)
	r.verdicts = append(r.verdicts, v)
	return err
}

// under says whether a message or an answer is under way.
func (r *recorded) under() bool { return r.missing() > 0 || r.witness.open.Load() > 0 }

func (r *recorded) missing() (n int64) {
	for _, l := range r.ledgers {
		n += l.missing()
	}
	return n
}

func (r *recorded) duplicates() (n int64) {
	for _, l := range r.ledgers {
		n += l.duplicates.Load()
	}
	return n
}

// figure is what the rounds' verdicts say of one thing.
func (r *recorded) figure(name, unit string, of func(*Verdict) float64) Figure {
	f := Figure{Name: name, Unit: unit}
	for _, v := range r.verdicts {
		f.Values = append(f.Values, of(v))
	}
	return f
}

// name makes a name of this run, so that nothing of an earlier one is in the way.
func (r *recorded) name(what string, i int) string {
	return fmt.Sprintf("bench-%016x-%s-%d", r.bodies.run, what, i)
}

// ask makes a request that is not measured, such as one that creates a queue, and returns
// the body of its answer. A status other than 2xx is an error.
func ask(s Server, method, path string, body []byte, timeout time.Duration) ([]byte, error) {
	addr, err := hostOf(s.URL)
	if err != nil {
		return nil, err
	}
	client := &fasthttp.HostClient{Addr: addr, Dial: dial, DisablePathNormalizing: true, MaxResponseBodySize: answerBytesMax}
	defer client.CloseIdleConnections()
	var req fasthttp.Request
	var resp fasthttp.Response
	req.Header.SetMethod(method)
	req.SetRequestURI("http://" + addr + path)
	req.SetConnectionClose()
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	if body != nil {
		req.Header.SetContentTypeBytes(jsonType)
		req.SetBodyRaw(body)
	}
	if err := client.DoTimeout(&req, &resp, timeout); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode()/100 != 2 {
		return nil, fmt.Errorf("%s %s was answered %d: %.200s", method, path, resp.StatusCode(), resp.Body())
	}
	return slices.Clone(resp.Body()), nil
}
