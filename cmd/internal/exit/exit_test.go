package exit

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
)

func TestStatus(t *testing.T) {
	base := errors.New("base")
	if err := With(IO, base); err.Error() != "base" || !errors.Is(err, base) {
		t.Errorf("%v does not read like what it wraps", err)
	}
	for want, err := range map[Status]error{
		OK:      With(Config, nil),
		Failure: base,
		Usage:   fmt.Errorf("wrapped: %w", With(Usage, base)),
		IO:      With(Config, fmt.Errorf("wrapped: %w", With(IO, base))),
		Data:    errors.Join(base, With(Data, base)),
	} {
		if got := Of(err); got != want {
			t.Errorf("Of(%v) = %d, want %d", err, got, want)
		}
	}
}

// TestStatuses: names and numbers stand for one status each.
func TestStatuses(t *testing.T) {
	for i, s := range Statuses {
		if got, ok := Named(s.Name); !ok || got != s.Status {
			t.Errorf("%s is %d, want %d", s.Name, got, s.Status)
		}
		if got, ok := Named(strconv.Itoa(int(s.Status))); !ok || got != s.Status {
			t.Errorf("%d is %d", s.Status, got)
		}
		if i > 0 && s.Status <= Statuses[i-1].Status {
			t.Errorf("%s is not in its order", s.Name)
		}
	}
	if _, ok := Named("nonsense"); ok {
		t.Error("nonsense is a status")
	}
}
