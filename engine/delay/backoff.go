package delay

import (
	"math"
	"time"
)

// Default is the wait before retry number retry, counted from 1, of a message that
// names no expression: min(86400, e^(2.5*retry)) seconds (QSTASH.md §5.3), without
// jitter. The published figures are that value with its fraction of a second cut
// off: e^2.5 = 12.18 gives 12 s, e^5 = 148.41 2m28s, e^7.5 = 1808.04 30m8s,
// e^10 = 22026.47 6h7m6s; from the fifth on (e^12.5 = 268337) it is a day. A retry
// below 1 counts as 1.
func Default(retry int) time.Duration {
	seconds := math.Floor(math.Exp(2.5 * float64(max(retry, 1))))
	if seconds >= Max.Seconds() {
		return Max
	}
	return time.Duration(seconds) * time.Second
}
