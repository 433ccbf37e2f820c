package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// Model is the live view. It reads, draws, and reads again when Interval is over, so that a server
// that is slow to answer is not asked faster than it does.
type Model struct {
	Read     func() (*Snapshot, error) // the error is shown, and the last snapshot stays
	Interval time.Duration
	Target   string // what is looked at, for the first line

	now              time.Time
	reading          bool
	snapshot, before *Snapshot
	err              error
	order            order
	width, height    int
}

// Messages of the model.
type (
	tickMsg time.Time
	readMsg struct {
		snapshot *Snapshot
		err      error
	}
)

// Init begins the first read, and the ticking.
func (m Model) Init() tea.Cmd {
	return func() tea.Msg { return tickMsg(time.Now()) }
}

// Update is bubbletea's: it returns the model after a message, and what is to be done.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		return m.key(msg)
	case tickMsg:
		m.now = time.Time(msg)
		next := tea.Tick(m.Interval, func(t time.Time) tea.Msg { return tickMsg(t) })
		if m.reading {
			return m, next
		}
		m.reading = true
		return m, tea.Batch(m.read(), next)
	case readMsg:
		m.reading, m.err = false, msg.err
		if msg.err == nil {
			m.snapshot, m.before, m.now = msg.snapshot, m.snapshot, msg.snapshot.At
		}
	}
	return m, nil
}

func (m Model) read() tea.Cmd {
	return func() tea.Msg {
		s, err := m.Read()
		return readMsg{s, err}
	}
}

// key takes what was pressed: several letters at once if somebody types fast.
func (m Model) key(k tea.KeyMsg) (tea.Model, tea.Cmd) {
	switch k.Type {
	case tea.KeyEsc, tea.KeyCtrlC:
		return m, tea.Quit
	case tea.KeyCtrlZ:
		return m, tea.Suspend
	}
	for _, r := range k.Runes {
		switch r {
		case 'q':
			return m, tea.Quit
		case 's':
			m.order = (m.order + 1) % orders
		case 'S':
			m.order = (m.order + orders - 1) % orders
		}
	}
	return m, nil
}

// View draws the page into the size of the terminal. Titles are set off by reversing them, which
// every terminal can and no colour is needed for.
func (m Model) View() string {
	out := []string{m.headline()}
	if m.err != nil {
		out = append(out, "! "+clean(strings.ReplaceAll(m.err.Error(), "\n", ". ")))
	}
	if m.snapshot != nil {
		p := page{snapshot: m.snapshot, before: m.before, order: m.order, width: m.width, height: max(m.height-len(out), 1)}
		if m.height == 0 {
			p.height = 0
		}
		lines, titles := p.lines()
		for i, l := range lines {
			if titles[i] {
				l = "\x1b[7m" + l + "\x1b[0m"
			}
			out = append(out, l)
		}
	}
	if m.height > 0 && len(out) > m.height {
		out = out[:m.height]
	}
	return strings.Join(out, "\n")
}

func (m Model) headline() string {
	head := "tidemill top  " + clean(m.Target)
	switch {
	case m.snapshot == nil && m.err == nil:
		head += "  asking"
	case m.snapshot != nil && m.now.Sub(m.snapshot.At) > 3*m.Interval:
		head += "  as of " + span(m.now.Sub(m.snapshot.At)) + " ago"
	}
	return fmt.Sprintf("%s  sorted by %s  (s: sort, q: quit)", head, m.order)
}

// Plain writes one page as text, of two reads with interval between them: what the server only
// counts has no rate otherwise.
func Plain(ctx context.Context, r *Reader, interval time.Duration) (string, error) {
	before, err := r.Read(ctx)
	if err != nil {
		return "", err
	}
	select {
	case <-time.After(interval):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	s, err := r.Read(ctx)
	if err != nil {
		return "", err
	}
	p := page{snapshot: s, before: before}
	lines, _ := p.lines()
	return strings.Join(lines, "\n") + "\n", nil
}

// Run shows the live view until its user ends it or ctx ends, and leaves the terminal as it was.
func Run(ctx context.Context, r *Reader, interval time.Duration, target string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a read that is under way
	m := Model{Interval: interval, Target: target, Read: func() (*Snapshot, error) { return r.Read(ctx) }}
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out),
		tea.WithAltScreen(), tea.WithoutSignalHandler()).Run()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		return nil // to be stopped is a way to end
	}
	return err
}
