package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// printer writes text to a terminal from a goroutine of its own, so that a
// terminal that is slow, or stopped with ^S, never holds up a request. What does
// not fit its buffer is dropped and counted.
type printer struct {
	texts   chan string
	dropped atomic.Int64
	quit    chan struct{}
	done    sync.WaitGroup
}

const printerBuffer = 1024 // texts

func newPrinter(w io.Writer) *printer {
	p := &printer{texts: make(chan string, printerBuffer), quit: make(chan struct{})}
	p.done.Go(func() { p.run(w) })
	return p
}

func (p *printer) run(w io.Writer) {
	for {
		select {
		case text := <-p.texts:
			p.write(w, text)
		case <-p.quit:
			for len(p.texts) > 0 {
				p.write(w, <-p.texts)
			}
			return
		}
	}
}

// write ignores errors: a terminal that is gone is no reason to stop serving.
func (p *printer) write(w io.Writer, text string) {
	if n := p.dropped.Swap(0); n > 0 {
		fmt.Fprintf(w, "(%d arrivals are not shown: the terminal is too slow)\n", n)
	}
	_, _ = io.WriteString(w, text)
}

// print hands text over. It is safe for concurrent use and never waits; after
// close it has no effect.
func (p *printer) print(text string) {
	select {
	case p.texts <- text:
	default:
		p.dropped.Add(1)
	}
}

// close writes what was handed over before it.
func (p *printer) close() {
	close(p.quit)
	p.done.Wait()
}
