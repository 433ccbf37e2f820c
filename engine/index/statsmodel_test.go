package index

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/record"
)

// modelStats is what was counted of each account, at any time.
type modelStats map[uint32]*[5]uint64

func (m modelStats) of(user uint32) *[5]uint64 {
	if m[user] == nil {
		m[user] = new([5]uint64)
	}
	return m[user]
}

func (m modelStats) published(user uint32) { m.of(user)[0]++ }

func (m modelStats) ended(o *record.Outcome) {
	place := map[record.Kind]int{record.Delivered: 1, record.Retry: 2, record.Dead: 3, record.Canceled: 4}
	m.of(o.User)[place[o.Kind]]++
}

// sumStats adds up all rows of statistics, and returns how many messages are pending.
func sumStats(kv map[string]string) (sums modelStats, pending map[uint32]uint64, err error) {
	sums, pending = modelStats{}, map[uint32]uint64{}
	for k, v := range kv {
		if k[0] != kindStats {
			continue
		}
		r, user := rowReader{b: []byte(v)}, be.Uint32([]byte(k[len(k)-6:]))
		if k[1] == statsAccount {
			user = be.Uint32([]byte(k[2:]))
			pending[user] = r.uint()
		}
		var c counts[uint64]
		for len(r.b) > 0 && !r.bad {
			pieceAt(&r)
			addPiece(&r, &c)
		}
		if r.bad {
			return nil, nil, fmt.Errorf("key %x is %x", k, v)
		}
		for i, n := range c.numbers() {
			sums.of(user)[i] += *n
		}
	}
	return sums, pending, nil
}

// diffStats compares rows of statistics with what was applied: of a rebuilt index, which
// has seen a part of the log, what is pending alone.
func (m *model) diffStats(got map[string]string) error {
	sums, pending, err := sumStats(got)
	if err != nil {
		return err
	}
	want := map[uint32]uint64{}
	for _, r := range m.rows {
		want[r.User]++
	}
	for user, n := range pending {
		if n != want[user] {
			return fmt.Errorf("account %d has %d messages pending, counted are %d", user, want[user], n)
		}
		delete(want, user)
	}
	if len(want) > 0 {
		return fmt.Errorf("messages are pending that no account has: %v", want)
	}
	if m.first > 0 {
		return nil
	}
	for user, n := range m.stats {
		if sums[user] == nil || *sums[user] != *n {
			return fmt.Errorf("account %d: counted are %v, want %v", user, sums[user], *n)
		}
	}
	return nil
}
