package receive

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestEscape: nothing that a sender controls reaches the terminal as it is, and
// no line grows with what was sent.
func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain \"quoted\" ünï", `plain "quoted" ünï`},
		{"a\nb\tc\x1b[2J\x07\x00", `a\nb\tc\x1b[2J\a\x00`},
		{"\xff\xfe", "\uFFFD"},
		{"\u202e", `\u202e`},
		{strings.Repeat("x", 25), strings.Repeat("x", 20) + " … and 5 bytes more"},
	} {
		if got := Escape([]byte(c.in), 20); got != c.want {
			t.Errorf("Escape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	a := Arrival{Method: strings.Repeat("M", 1e4), Target: strings.Repeat("t", 1e4), Body: bytes.Repeat([]byte{0}, 1e6), ID: strings.Repeat("i", 1e4), Retried: strings.Repeat("r", 1e4)}
	if got := a.Line("") + a.BodyLine(); len(got) > 4*1500 {
		t.Errorf("a line of %d bytes", len(got))
	}
}

// slowWriter lets nothing through until it is opened.
type slowWriter struct {
	open chan struct{}
	got  bytes.Buffer
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.open
	return w.got.Write(p)
}

func TestPrinterNeverWaits(t *testing.T) {
	w := &slowWriter{open: make(chan struct{})}
	p := NewPrinter(w, func(n int64) string { return fmt.Sprintf("(%d arrivals are not shown)\n", n) })
	const n = 3 * printerBuffer
	for i := range n {
		p.Print(fmt.Sprintln(i)) // would hang here if it waited
	}
	close(w.open)
	p.Close()
	p.Print("after close\n")
	var shown, dropped int
	for line := range strings.Lines(w.got.String()) {
		k := 0
		if _, err := fmt.Sscanf(line, "(%d arrivals are not shown", &k); err == nil {
			dropped += k
		} else {
			shown++
		}
	}
	// The buffer, and one text that was being written when it filled up.
	if shown < printerBuffer || shown > printerBuffer+1 || shown+dropped != n {
		t.Errorf("%d are shown and %d counted as dropped, of %d", shown, dropped, n)
	}
}
