package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// contender is one side of a comparison.
type contender struct {
	name string
	pid  int  // its process; 0: it has none, or it is not known
	acks bool // a message counts when its request is answered; else when it arrives

	// processes, if any, are all that work for this side now, instead of pid.
	processes func() []int

	// durability is what an acknowledgement means, where that is another's promise.
	durability string

	// producers makes the operations of c producers, and a function that closes
	// their connections.
	producers func(ctx context.Context, c int) (ops []operation, closeAll func())

	// begin and finish, if any, surround a round. begin comes before producers and
	// may set pid; finish waits for what is under way and fails the run if something
	// was lost. It is not called for a round that failed.
	begin  func(ctx context.Context, m *meter) error
	finish func(ctx context.Context) error

	// until, if any, is asked when the length of a round has passed: it goes on until
	// there is no more to wait for.
	until func() (more bool)

	// counted, if any, is as in load.
	counted func(phase int32) (done, total int64)

	// damaged, if any, is why what was measured is void.
	damaged func() error

	// runtime, if any, follows the process's Go runtime.
	runtime *goRuntime

	// duplicates, if any, counts messages that came again.
	duplicates func() int64

	// lost, if any, counts acknowledged messages that are not there, of a side that may lose.
	lost func() int64
	// pace, if any, ends the open loop of a round and tells how far it kept its rate.
	// It is called once for each round, when its producers have ended.
	pace func(elapsed, p99 time.Duration) Pace
}

// tally adds up a contender's rounds.
type tally struct {
	side  Side
	hist  *hdrhistogram.Histogram
	cpu   time.Duration
	timed int64 // messages of the rounds whose CPU time is known
	own   time.Duration
	disk  writes
	err   error // the first failed request's
	void  bool  // the present round's latencies are not what they should be
}

// runRounds lets the contenders take turns. The order rotates, so that none always
// runs after the same other.
func runRounds(ctx context.Context, o *Common, c int, sides []contender) ([]Side, error) {
	tallies := make([]tally, len(sides))
	for i := range tallies {
		tallies[i] = tally{side: Side{Name: sides[i].name}, hist: newHistogram()}
	}
	for round := range o.Rounds {
		for i := range sides {
			k := (round + i) % len(sides)
			at := Progress{Side: sides[k].name, Concurrency: c, Step: round*len(sides) + i + 1, Steps: o.Rounds * len(sides)}
			if err := tallies[k].round(ctx, o, &sides[k], at); err != nil {
				return nil, fmt.Errorf("%s, c=%d, round %d: %w", sides[k].name, c, round+1, err)
			}
		}
	}
	out := make([]Side, len(sides))
	for i := range tallies {
		out[i] = tallies[i].close(&sides[i])
	}
	return out, nil
}

func (t *tally) round(ctx context.Context, o *Common, s *contender, at Progress) error {
	l := load{
		warmUp: o.WarmUp, length: o.Round, patience: o.RequestTimeout,
		meter: newMeter(), acks: s.acks, damaged: s.damaged, until: s.until, counted: s.counted,
	}
	defer o.follow(&l, at)()
	if s.begin != nil {
		if err := s.begin(ctx, l.meter); err != nil {
			return err
		}
	}
	ops, closeAll := s.producers(ctx, at.Concurrency)
	defer closeAll()
	l.ops, l.pid, l.processes, l.runtime = ops, s.pid, s.processes, s.runtime
	t.disk.look(s.pid)
	out, err := l.run(ctx)
	if err != nil {
		return err
	}
	hist := l.meter.take()
	if failed := t.side.Failed + out.failed; failed*100 > t.side.Messages+hist.TotalCount() {
		// Without finish: what a server that died had acknowledged would be waited for in vain.
		if t.err == nil {
			t.err = out.err
		}
		return fmt.Errorf("%w: %d, and %d did not; the first: %w", ErrFailing, failed, t.side.Messages+hist.TotalCount(), t.err)
	}
	if s.pace != nil {
		t.paced(s.pace(out.elapsed, quantile(hist, 99)))
	}
	if s.finish != nil {
		if err := s.finish(ctx); err != nil {
			return err
		}
	}
	t.disk.round(s.pid, out.done)
	t.add(hist, out)
	s.runtime.share(t.side.Rounds[len(t.side.Rounds)-1].Messages)
	r := t.side.Rounds[len(t.side.Rounds)-1]
	o.Log.Info("round", "side", s.name, "c", at.Concurrency, "rate", int64(r.Rate),
		slog.Duration("p50", r.P50), slog.Duration("p99", r.P99))
	if r.Messages == 0 {
		return fmt.Errorf("%w: no message in %v", ErrFailing, out.elapsed)
	}
	return nil
}

// paced notes how an open loop went.
func (t *tally) paced(p Pace) {
	t.void = p.void()
	if t.side.Pace == nil {
		t.side.Pace = &p
		return
	}
	t.side.Pace.add(p)
}

func (t *tally) add(h *hdrhistogram.Histogram, out outcome) {
	r := Round{
		Messages: h.TotalCount(),
		Rate:     float64(h.TotalCount()) / out.elapsed.Seconds(),
		P50:      quantile(h, 50),
		P99:      quantile(h, 99),
		Max:      longest(h),
	}
	if t.void { // the rate stands, but these latencies are not the side's
		r.P50, r.P99, r.Max = 0, 0, 0
	} else {
		t.hist.Merge(h)
	}
	if out.cpuOK && r.Messages > 0 {
		r.CPU = out.cpu / time.Duration(r.Messages)
		t.cpu += out.cpu
		t.timed += r.Messages
	}
	if r.Messages > 0 {
		r.Harness = out.harness / time.Duration(r.Messages)
	}
	t.own += out.harness
	t.side.Rounds = append(t.side.Rounds, r)
	t.side.Messages += r.Messages
	t.side.Failed += out.failed
	t.side.operations += out.done
	if t.err == nil {
		t.err = out.err
	}
}

// close works the rounds up into what is reported of a side.
func (t *tally) close(s *contender) Side {
	side := t.side
	side.Rate = median(pick(side.Rounds, func(r Round) float64 { return r.Rate }))
	side.P50, side.P99 = quantile(t.hist, 50), quantile(t.hist, 99)
	side.Max = longest(t.hist)
	if t.timed > 0 {
		side.CPU = t.cpu / time.Duration(t.timed)
	}
	if side.Messages > 0 {
		side.Harness = t.own / time.Duration(side.Messages)
	}
	side.Written, side.written = t.disk.total, t.disk.each
	if s.duplicates != nil {
		side.Duplicates = s.duplicates()
	}
	if s.lost != nil {
		side.Lost = s.lost()
	}
	side.Durability = s.durability
	return side
}

func quantile(h *hdrhistogram.Histogram, percent float64) time.Duration {
	return time.Duration(h.ValueAtPercentile(percent))
}

// longest is the largest value, 0 if there is none.
func longest(h *hdrhistogram.Histogram) time.Duration {
	if h.TotalCount() == 0 {
		return 0
	}
	return time.Duration(h.Max())
}

// hostOf is the address to dial for a URL.
func hostOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if u.Host == "" {
		return "", fmt.Errorf("%q names no host", raw)
	}
	if u.Port() == "" {
		return u.Host + ":80", nil
	}
	return u.Host, nil
}
