package index

import (
	"reflect"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

const testWindowMillis = int64(testWindow / 1e6)

// TestDedupWindow: an id is found from its acceptance until just before the
// window's end, wherever its bucket's edge lies, by its own user alone.
func TestDedupWindow(t *testing.T) {
	for name, at := range map[string]int64{
		"at a bucket's beginning": testNow, "at its end": testNow + testWindowMillis - 1, "in it": testNow + testWindowMillis/3,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			hash := [16]byte{1, 2, 3}
			row := b.publish(record.Message{User: 1, Nonce: 77, Created: at, DedupKey: hash})
			b.flush()
			for delta, want := range map[int64]bool{
				0: true, 1: true, testWindowMillis / 2: true, testWindowMillis - 1: true, testWindowMillis: false,
				testWindowMillis + 1: false, 3 * testWindowMillis: false,
				-1: true, -testWindowMillis: true, // a clock set back
			} {
				d, ok, err := b.x.Dedup(1, &hash, at+delta)
				if err != nil || ok != want || ok && !reflect.DeepEqual(d, Deduped{Seq: row.Seq, Nonce: 77}) {
					t.Errorf("%d ms later: %+v, %v, %v", delta, d, ok, err)
				}
			}
			other := [16]byte{1, 2, 4}
			if _, ok, err := b.x.Dedup(2, &hash, at); ok || err != nil {
				t.Errorf("found by another user: %v", err)
			}
			if _, ok, err := b.x.Dedup(1, &other, at); ok || err != nil {
				t.Errorf("found under another id: %v", err)
			}
		})
	}
}

// TestDedupNewest: an id that was accepted again is the newer message's.
func TestDedupNewest(t *testing.T) {
	b := newBench(t)
	hash := [16]byte{1}
	b.publish(record.Message{User: 1, Created: testNow, DedupKey: hash})
	again := b.publish(record.Message{User: 1, Created: testNow + testWindowMillis, DedupKey: hash})
	b.flush()
	if d, ok, err := b.x.Dedup(1, &hash, testNow+testWindowMillis+5); !ok || d.Seq != again.Seq || err != nil {
		t.Fatalf("%d, %v, %v; want %d", d.Seq, ok, err, again.Seq)
	}
}

// expiry publishes an id in each bucket in turn and returns how many ids are
// left.
func expiry(t *testing.T, b *bench, buckets ...int64) int {
	for i, n := range buckets {
		b.publish(record.Message{User: 1, Created: n * testWindowMillis, DedupKey: [16]byte{1, byte(i)}})
		b.flush()
	}
	return kinds(t, b.x)[kindDedup]
}

// TestDedupExpiry (X6): a new bucket takes away those that no window reaches.
func TestDedupExpiry(t *testing.T) {
	for _, c := range []struct {
		name    string
		buckets []int64
		left    int
	}{
		{"one", []int64{1000, 1000, 1000}, 3},
		{"two", []int64{1000, 1000, 1001}, 3},
		{"three", []int64{1000, 1000, 1001, 1002}, 2},
		{"a gap", []int64{1000, 1001, 1500}, 1},
		{"publishers that overtake each other", []int64{1000, 1001, 1000, 1001, 1002}, 3},
		{"a clock set forward and back", []int64{1000, 90_000, 1000, 1001, 1002, 1003, 1004}, 3},
		{"the epoch", []int64{0, 1, 2, 3}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.t = t
			if got := expiry(t, b, c.buckets...); got != c.left {
				t.Errorf("%d ids are left, want %d", got, c.left)
			}
		})
	}
}

// TestDedupBeforeTheEpoch: a clock that was never set must not wipe out what
// comes once it is.
func TestDedupBeforeTheEpoch(t *testing.T) {
	b := newBench(t)
	expiry(t, b, 1000, -5)
	if _, ok, err := b.x.Dedup(1, &[16]byte{1, 0}, 1000*testWindowMillis+5); !ok || err != nil {
		t.Errorf("the id that came before is gone: %v", err)
	}
}
