package exit

import (
	"errors"
	"fmt"
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
