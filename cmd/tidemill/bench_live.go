package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/term"

	"github.com/tidemill/tidemill/bench"
)

// liveEvery is how often a run says how far it is where lines stay.
const liveEvery = time.Second

// liveLine shows how far a run is, below what is logged. On a terminal it is one line that
// is written again and again; elsewhere it is a line each second. Safe for concurrent use.
type liveLine struct {
	w     io.Writer
	width int // columns of the terminal; 0: it is none
	every time.Duration

	mu struct {
		sync.Mutex
		shown bool // the cursor stands behind the line
		last  time.Time
	}
}

func newLiveLine(w io.Writer) *liveLine {
	l := &liveLine{w: w, every: liveEvery}
	if f, ok := w.(*os.File); ok && term.IsTerminal(f.Fd()) {
		l.width = 80
		if width, _, err := term.GetSize(f.Fd()); err == nil && width > 0 {
			l.width = width
		}
	}
	return l
}

// show is a bench.Common's Progress. Nobody can be told that the terminal is gone, and the
// run goes on without it.
func (l *liveLine) show(p bench.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.width == 0 {
		if now := time.Now(); now.Sub(l.mu.last) >= l.every {
			l.mu.last = now
			fmt.Fprintln(l.w, p)
		}
		return
	}
	text := p.String()
	for utf8.RuneCountInString(text) >= l.width { // a longer one would be two
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	fmt.Fprint(l.w, "\r\x1b[K", text)
	l.mu.shown = true
}

// Write is for the log: its lines come above.
func (l *liveLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearLocked()
	return l.w.Write(p)
}

// clear takes the line away. The next show brings it back.
func (l *liveLine) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearLocked()
}

func (l *liveLine) clearLocked() {
	if l.mu.shown {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.mu.shown = false
	}
}
