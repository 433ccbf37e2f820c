package bench

import (
	"context"
	"time"
)

const (
	settleEvery = 500 * time.Millisecond
	settleQuiet = 3        // looks in a row
	settleBytes = 64 << 10 // in one of them, at most
)

// settle waits until the server writes nothing, for Settle at most: what it prepares in its
// first half minute, segments and the reserve for a full disk, would be on the account of the
// first messages. It returns at once if Settle is 0 or what the server writes is not known.
func (c *Common) settle(ctx context.Context, s Server) error {
	last, ok := writtenBytes(s.PID)
	quiet := 0
	for begin := time.Now(); ok && quiet < settleQuiet && time.Since(begin) < c.Settle; {
		if c.Progress != nil {
			c.Progress(Progress{Side: "server", Doing: "settling", Elapsed: time.Since(begin), Length: c.Settle})
		}
		if err := pause(ctx, settleEvery); err != nil {
			return err
		}
		var now int64
		now, ok = writtenBytes(s.PID)
		if quiet++; now-last > settleBytes {
			quiet = 0
		}
		last = now
	}
	return nil
}
