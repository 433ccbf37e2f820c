package bench

import (
	"errors"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// witness is a sink that records each attempt of the sides that are lanes.
type witness struct {
	*sink
	rec   *recorder
	lanes []lane       // by side
	open  atomic.Int64 // requests that are not answered, so perhaps not recorded
}

// openWitness makes one with so many hosts, for these lanes and more sides that are not
// recorded. The caller closes it.
func openWitness(hosts int, lanes []lane, more int, b *bodies, rec *recorder) (w *witness, err error) {
	listeners, err := listenLoopback("127.0.0", hosts)
	if err != nil {
		return nil, err
	}
	s, err := openSink(0, len(lanes)+more, b)
	if err != nil {
		return nil, err
	}
	w = &witness{sink: s, rec: rec, lanes: lanes}
	for i, ln := range listeners {
		s.hosts = append(s.hosts, ln.Addr().String())
		s.serve(ln, func(ctx *fasthttp.RequestCtx) { w.handle(i, ctx) })
	}
	err = rec.hosts(s.hosts)
	for i, l := range lanes {
		err = errors.Join(err, rec.lane(i, l))
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return w, nil
}

func (w *witness) handle(host int, ctx *fasthttp.RequestCtx) {
	came := w.clock()
	w.open.Add(1)
	defer w.open.Add(-1)
	stamp, ours, err := w.bodies.read(ctx.Request.Body())
	if err == nil && ours {
		copied := w.copyFor(host, stamp)
		err = w.take(copied, came)
	}
	if err != nil {
		w.damage.CompareAndSwap(nil, &err)
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
	}
	if w.answer > 0 {
		_ = pause(w.ctx, w.answer)
	}
	if ours && stamp.side < uint64(len(w.lanes)) {
		w.rec.attempted(stamp.side, attempt{
			seq: stamp.seq, host: host, came: came, ended: w.clock(), status: ctx.Response.StatusCode(),
		})
	}
}

// copyFor is the message that a host gets. A group's ledger has a number for each
// endpoint, from the message's own on.
func (w *witness) copyFor(host int, s stamp) stamp {
	if s.side < uint64(len(w.lanes)) && w.lanes[s.side].kind == laneGroup {
		s.seq += uint64(host)
	}
	return s
}
