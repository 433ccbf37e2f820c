package engine

import (
	"testing"
	"time"
)

// TestGrowth: a log counts as growing from its first segment within busyFor until busyFor
// after the last, and one that grows slowly does not.
func TestGrowth(t *testing.T) {
	const segment = 1000
	type look struct {
		after time.Duration // since the look before
		bytes int64         // logged since then
		want  bool
	}
	for name, looks := range map[string][]look{
		"still":  {{time.Second, 0, false}, {time.Hour, 0, false}, {time.Second, 10, false}},
		"burst":  {{time.Second, segment, true}, {busyFor - 1, 0, true}, {1, 0, false}, {time.Hour, 0, false}},
		"steady": {{time.Second, 0, false}, {time.Second, segment / 2, false}, {time.Second, segment / 2, true}, {busyFor / 2, segment, true}, {busyFor - 1, 0, true}, {time.Second, 0, false}},
		"slow":   {{busyFor, segment - 1, false}, {busyFor, segment - 1, false}, {busyFor, segment - 1, false}},
		"again":  {{time.Second, segment, true}, {time.Hour, 0, false}, {time.Second, segment, true}},
	} {
		var g growth
		now, bytes := time.UnixMilli(1e12), int64(0)
		for i, l := range looks {
			now, bytes = now.Add(l.after), bytes+l.bytes
			if got := g.busy(bytes, segment, now); got != l.want {
				t.Errorf("%s, look %d: busy is %v, want %v", name, i, got, l.want)
			}
		}
	}
}
