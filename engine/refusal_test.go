package engine

import (
	"testing"
	"time"
)

// TestWatchedCount: a counter that grows has one beginning and one end, however often it grows in between.
func TestWatchedCount(t *testing.T) {
	var w watchedCount
	now := time.Unix(1e9, 0)
	for i, step := range []struct {
		after        time.Duration
		n            uint64
		began, ended bool
		grown        uint64
	}{
		{0, 0, false, false, 0},
		{time.Second, 5, true, false, 5},
		{time.Second, 5, false, false, 5},
		{time.Second, 9, false, false, 9},
		{refusalQuiet - 1, 9, false, false, 9},
		{1, 9, false, true, 9},
		{time.Hour, 9, false, false, 9},
		{time.Second, 10, true, false, 1},
	} {
		now = now.Add(step.after)
		began, ended, grown := w.look(step.n, now)
		if began != step.began || ended != step.ended || grown != step.grown {
			t.Errorf("step %d: began %v, ended %v, grew by %d", i, began, ended, grown)
		}
	}
}
