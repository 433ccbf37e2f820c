package wal

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// appendTo appends records of 4 KiB until the head's segment holds n bytes, or is another.
func appendTo(t *testing.T, l *Log, n int64) {
	t.Helper()
	for first := l.Segments()[len(l.Segments())-1].First; ; {
		last := l.Segments()[len(l.Segments())-1]
		if last.First != first || last.End.Offset() >= n {
			return
		}
		if _, err := l.Append(make([]byte, 4<<10)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpareIsMadeLate: the pool's last file is made when the segment that is being filled is
// half full, not when the one before was taken: a file that is let go meanwhile takes its
// place.
func TestSpareIsMadeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := smallOptions(powerfs.New())
		o.Reserve = 2
		l := mustOpen(t, o)
		defer mustClose(t, l)
		synctest.Wait()
		made := l.Stats().SparesMade
		check := func(when string, spares int, more, recycled uint64) {
			t.Helper()
			synctest.Wait()
			if st := l.Stats(); st.Spares != spares || st.SparesMade != made+more || st.Recycled != recycled {
				t.Errorf("%s: %d spares, %d made, %d recycled; want %d, %d, %d",
					when, st.Spares, st.SparesMade, st.Recycled, spares, made+more, recycled)
			}
		}
		appendTo(t, l, minSegmentSize) // the second segment has begun
		check("one taken", o.Reserve, 0, 0)
		appendTo(t, l, minSegmentSize/4)
		check("a quarter full", o.Reserve, 0, 0)
		appendTo(t, l, 3*minSegmentSize/4)
		check("past the half", o.Reserve+1, 1, 0)
		if err := l.SetFloor(l.Segments()[1].First); err != nil {
			t.Fatal(err)
		}
		appendTo(t, l, minSegmentSize) // takes one, and lets the first segment go
		check("one taken and one let go", o.Reserve+1, 1, 1)
		appendTo(t, l, 3*minSegmentSize/4)
		check("past the half of the third", o.Reserve+1, 1, 1)
	})
}

// TestSpareSurplus: what leaves the log at one moment is kept for the next segments, within
// bounds, and not for long.
func TestSpareSurplus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := smallOptions(powerfs.New())
		o.Reserve = 1
		l := mustOpen(t, o)
		defer mustClose(t, l)
		fill(t, l, 20)
		synctest.Wait()
		giveUp(t, l, -1)
		synctest.Wait()
		st, most := l.Stats(), l.spares.target+spareSurplus
		if st.Spares != most || st.Removed == 0 {
			t.Errorf("%d spares, %d files removed; want %d, and the rest removed", st.Spares, st.Removed, most)
		}
		time.Sleep(2 * spareShed)
		synctest.Wait()
		if got := l.Stats().Spares; got != l.spares.target {
			t.Errorf("%d spares of a log that stands still, want %d", got, l.spares.target)
		}
		made := l.Stats().SparesMade
		fill(t, l, 1)
		synctest.Wait()
		if got := l.Stats().SparesMade; got != made {
			t.Errorf("%d spares made, want %d: there are enough", got, made)
		}
	})
}
