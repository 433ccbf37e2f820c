// Package doctor is `tidemill doctor`: it looks at the machine, the data directory and the settings that
// a server is to be started with, and says what to change.
//
// Each check is a pure function of what was measured (judge…), and measuring is apart (the files named
// for an operating system, and measure.go), so that every finding can be tested. Nothing is written but
// one temporary file of 1 MiB that the flushes are measured with, and nothing of a running server is
// touched: the doctor may run beside one.
package doctor

import (
	"fmt"
	"io"
	"strings"
)

// State is what a check found.
type State string

const (
	OK   State = "ok"
	Warn State = "warn" // it works, and may not do what is expected of it
	Fail State = "fail" // a server does not start, or loses what it promised to keep
	Skip State = "skip" // it was not looked at
)

// Check is one finding.
type Check struct {
	Name   string         `json:"check"`
	State  State          `json:"state"`
	Found  string         `json:"found"`            // what was measured
	Do     string         `json:"do,omitempty"`     // what to change
	Values map[string]any `json:"values,omitempty"` // the figures in Found, for scripts
}

func okay(format string, args ...any) Check {
	return Check{State: OK, Found: fmt.Sprintf(format, args...)}
}

func warn(do, format string, args ...any) Check {
	return Check{State: Warn, Found: fmt.Sprintf(format, args...), Do: do}
}

func fail(do, format string, args ...any) Check {
	return Check{State: Fail, Found: fmt.Sprintf(format, args...), Do: do}
}

func skip(format string, args ...any) Check {
	return Check{State: Skip, Found: fmt.Sprintf(format, args...)}
}

// with adds figures, given as names and values.
func (c Check) with(values ...any) Check {
	c.Values = make(map[string]any, len(values)/2)
	for i := 0; i < len(values); i += 2 {
		c.Values[values[i].(string)] = values[i+1]
	}
	return c
}

// line is the check for people. Found and Do may quote what an operating system or a file says, so
// what would break the line is taken out.
func (c *Check) line() string {
	text := fmt.Sprintf("%-4s  %-15s  %s", c.State, c.Name, c.Found)
	if c.Do != "" {
		text += " -> " + c.Do
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text) + "\n"
}

// tally counts the states.
type tally struct {
	OK   int `json:"ok"`
	Warn int `json:"warn"`
	Fail int `json:"fail"`
	Skip int `json:"skip"`
}

func (t *tally) add(s State) {
	switch s {
	case OK:
		t.OK++
	case Warn:
		t.Warn++
	case Fail:
		t.Fail++
	case Skip:
		t.Skip++
	}
}

func (t *tally) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%d ok, %d to look at, %d to mend, %d not looked at\n", t.OK, t.Warn, t.Fail, t.Skip)
	return err
}
