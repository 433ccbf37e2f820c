package engine

import (
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine/index"
)

// A history row holds up to index.HistoryEventsMax events. An event's place is the row's key
// and its number in the row, in one integer: places are in the order of the log, never
// change while the index is there, and none appears below one that was seen, since the
// index applies groups in log order. So a place is a cursor that stays valid whatever is
// written or trimmed meanwhile.
type place uint64

const (
	placeBits = 4
	placeMask = 1<<placeBits - 1
)

// The numbers of a row's events fit.
var _ [placeMask + 1 - index.HistoryEventsMax]struct{}

// cursorBase is added to a place to make a cursor. What is less is a time, unix ms: the
// clients tell their users to begin with a cursor of now, and the first version of the API
// had no others. For the first 130,000 segments, 8 TiB of the default size, a cursor is
// below 2^53, so that it survives being a JavaScript number.
const cursorBase = 1 << 45

func placeOf(lsn uint64, n int) place { return place(lsn<<placeBits | uint64(n)) }

func (p place) lsn() uint64 { return uint64(p) >> placeBits }

func (p place) String() string { return strconv.FormatUint(uint64(p)+cursorBase, 10) }

// parseCursor reads a cursor: a place, or a time, or neither if it is empty or 0.
func parseCursor(s string) (p place, at time.Time, err error) {
	if s == "" {
		return 0, at, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case err != nil:
		return 0, at, limitError("cursor %q is not one that this server gave out", s)
	case n >= cursorBase:
		return place(n - cursorBase), at, nil
	case n > 0:
		at = time.UnixMilli(int64(n))
	}
	return 0, at, nil
}
