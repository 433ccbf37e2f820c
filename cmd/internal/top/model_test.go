package top

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

func key(s string) tea.KeyMsg { return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(s)} }

// after gives a model messages one after the other.
func after(m Model, msgs ...tea.Msg) (Model, tea.Cmd) {
	var cmd tea.Cmd
	for _, msg := range msgs {
		var next tea.Model
		next, cmd = m.Update(msg)
		m = next.(Model)
	}
	return m, cmd
}

func TestModelReadsOnceAtATime(t *testing.T) {
	now, _ := shown(t)
	m := Model{Read: func() (*Snapshot, error) { return now, nil }, Interval: time.Second, Target: "x"}
	m, cmd := after(m, tickMsg(time.Now()))
	if !m.reading || cmd == nil {
		t.Fatal("the first tick begins no read")
	}
	if _, ok := cmd().(tea.BatchMsg); !ok {
		t.Fatal("the first tick does not begin a read and the next tick")
	}
	if m, _ = after(m, tickMsg(time.Now())); !m.reading {
		t.Fatal("a tick ends a read")
	}
	if m, _ = after(m, m.read()()); m.reading || m.snapshot != now {
		t.Fatal("a read does not end")
	}
}

func TestModelView(t *testing.T) {
	now, before := shown(t)
	m := Model{Interval: time.Second, Target: "http://127.0.0.1:9080\x1b"}
	if got := m.View(); got != "tidemill top  http://127.0.0.1:9080?  asking  sorted by trouble  (s: sort, q: quit)" {
		t.Errorf("before the first answer: %q", got)
	}
	m, _ = after(m, tea.WindowSizeMsg{Width: 120, Height: 20}, readMsg{snapshot: before}, readMsg{snapshot: now})
	view := m.View()
	for _, want := range []string{"sorted by trouble", "written 1.0MiB/s", "\x1b[7mHOSTS 2 ", "half-open", "20/s", "tenant/?[2J1"} {
		if !strings.Contains(view, want) {
			t.Errorf("no %q in\n%s", want, view)
		}
	}
	for height := 1; height < 30; height++ {
		m, _ = after(m, tea.WindowSizeMsg{Width: 40, Height: height})
		if n := strings.Count(m.View(), "\n") + 1; n > height {
			t.Errorf("%d lines in a height of %d", n, height)
		}
	}
}

func TestModelKeepsWhatItSawWhenTheServerIsGone(t *testing.T) {
	now, _ := shown(t)
	m, _ := after(Model{Interval: time.Second}, readMsg{snapshot: now}, readMsg{err: errors.New("no answer\nfrom it")}, tickMsg(now.At.Add(12*time.Second)))
	view := m.View()
	for _, want := range []string{"as of 12s ago", "! no answer. from it\n", "http://dead.example:80"} {
		if !strings.Contains(view, want) {
			t.Errorf("no %q in\n%s", want, view)
		}
	}
}

func TestModelKeys(t *testing.T) {
	m, _ := after(Model{}, key("ss"))
	if m.order != byInFlight {
		t.Errorf("sorted by %s", m.order)
	}
	if m, _ = after(m, key("S"), key("S"), key("S")); m.order != byName {
		t.Errorf("sorted by %s", m.order)
	}
	if m, _ = after(m, key("s")); m.order != byTrouble {
		t.Errorf("sorted by %s", m.order)
	}
	for _, k := range []tea.KeyMsg{key("q"), key("sq"), {Type: tea.KeyEsc}, {Type: tea.KeyCtrlC}} {
		if _, cmd := after(m, k); cmd == nil || cmd() != tea.Quit() {
			t.Errorf("%s does not quit", k)
		}
	}
	if _, cmd := after(m, key("x")); cmd != nil {
		t.Error("x does something")
	}
}

// screen is a terminal that says when a text was written to it.
type screen struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	want string
	seen chan struct{}
	once sync.Once
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Write(p)
	if strings.Contains(s.buf.String(), s.want) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(p), nil
}

// However the program ends, it leaves the terminal's other screen: SIGTERM ends its context.
func TestRunRestoresTheTerminal(t *testing.T) {
	for _, end := range []string{"key", "context"} {
		t.Run(end, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := &screen{want: "HOSTS 2", seen: make(chan struct{})}
			keys, press := io.Pipe()
			defer keys.Close()
			done := make(chan error, 1)
			go func() {
				r := &Reader{Admin: &documents{by: adminDocuments}, API: &documents{by: apiDocuments}}
				done <- Run(ctx, r, time.Millisecond, "here", keys, out)
			}()
			select {
			case <-out.seen:
			case err := <-done:
				t.Fatalf("ended by itself: %v", err)
			}
			if end == "key" {
				_, _ = io.WriteString(press, "q")
			} else {
				cancel()
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			out.mu.Lock()
			defer out.mu.Unlock()
			text := out.buf.String()
			if in, left := strings.Index(text, "\x1b[?1049h"), strings.LastIndex(text, "\x1b[?1049l"); in < 0 || left < in {
				t.Errorf("the other screen is entered at %d and left at %d", in, left)
			}
			if !strings.Contains(text[strings.LastIndex(text, "\x1b[?1049l")-40:], "\x1b[?25h") {
				t.Error("the cursor stays hidden")
			}
		})
	}
}
