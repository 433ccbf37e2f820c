package receive

import (
	"io"
	"sync"
	"sync/atomic"
)

// Printer writes text to a terminal from a goroutine of its own, so that a
// terminal that is slow, or stopped with ^S, never holds up a request. What does
// not fit its buffer is dropped and counted.
type Printer struct {
	texts   chan string
	lost    func(int64) string
	dropped atomic.Int64 // since lost was last asked
	quit    chan struct{}
	done    sync.WaitGroup
}

const printerBuffer = 1024 // texts

// NewPrinter starts a printer to w. lost says how many texts were dropped, in their
// place. The caller closes it.
func NewPrinter(w io.Writer, lost func(n int64) string) *Printer {
	p := &Printer{texts: make(chan string, printerBuffer), lost: lost, quit: make(chan struct{})}
	p.done.Go(func() { p.run(w) })
	return p
}

func (p *Printer) run(w io.Writer) {
	for {
		select {
		case text := <-p.texts:
			p.write(w, text)
		case <-p.quit:
			for len(p.texts) > 0 {
				p.write(w, <-p.texts)
			}
			p.write(w, "") // what was dropped last
			return
		}
	}
}

// write ignores errors: a terminal that is gone is no reason to stop serving.
func (p *Printer) write(w io.Writer, text string) {
	if n := p.dropped.Swap(0); n > 0 {
		_, _ = io.WriteString(w, p.lost(n))
	}
	_, _ = io.WriteString(w, text)
}

// Print hands text over. It is safe for concurrent use and never waits; after
// Close it has no effect.
func (p *Printer) Print(text string) {
	select {
	case p.texts <- text:
	default:
		p.dropped.Add(1)
	}
}

// Close writes what was handed over before it.
func (p *Printer) Close() {
	close(p.quit)
	p.done.Wait()
}
