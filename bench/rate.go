package bench

import (
	"errors"
	"fmt"
	"strconv"
)

// Rate is how many messages an open loop sends: so many a second, or half of what a closed
// loop reached before in the same run. The zero value is no open loop.
type Rate struct {
	PerSecond int
	Half      bool
}

// rateMax bounds a Rate; no harness sends more.
const rateMax = 1_000_000

// Set parses a number, or "half".
func (r *Rate) Set(s string) error {
	if s == "half" {
		*r = Rate{Half: true}
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > rateMax {
		return fmt.Errorf("want 1 to %d a second, or half", rateMax)
	}
	*r = Rate{PerSecond: n}
	return nil
}

// String is what Set takes; "" for the zero value.
func (r *Rate) String() string {
	switch {
	case r.Half:
		return "half"
	case r.PerSecond == 0:
		return ""
	}
	return strconv.Itoa(r.PerSecond)
}

// Type is what a flag's help calls it.
func (r *Rate) Type() string { return "rate" }

// given says whether there is to be an open loop.
func (r Rate) given() bool { return r != Rate{} }

func (r Rate) validate() error {
	switch {
	case r.PerSecond < 0 || r.PerSecond > rateMax:
		return fmt.Errorf("rate %d: want 1 to %d a second", r.PerSecond, rateMax)
	case r.Half && r.PerSecond > 0:
		return errors.New("a rate is a number or half of the peak, not both")
	}
	return nil
}

// of is the rate, where peak is what a closed loop reached.
func (r Rate) of(peak float64) int {
	if r.Half {
		return max(1, int(peak/2))
	}
	return r.PerSecond
}
