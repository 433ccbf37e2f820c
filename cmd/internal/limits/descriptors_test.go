package limits

import (
	"testing"
)

func TestShareDescriptors(t *testing.T) {
	for _, c := range []struct {
		limit    uint64
		attempts int
		want     Descriptors
	}{
		{0, 1000, Descriptors{clientsMost, 1000, idleMost}},
		{1 << 62, 1000, Descriptors{clientsMost, 1000, idleMost}},
		{65536, 1000, Descriptors{clientsMost, 1000, idleMost}},
		{20000, 1000, Descriptors{16312, 1000, idleMost}},
		{1024, 1000, Descriptors{256, 192, 64}},
		{256, 1000, Descriptors{64, 48, 16}},
		{256, 10, Descriptors{64, 10, 54}},
		{64, 1000, Descriptors{16, 12, 4}},
	} {
		got, err := ShareDescriptors(c.limit, c.attempts)
		if err != nil || got != c.want {
			t.Errorf("%d descriptors, %d attempts: %+v, %v, want %+v", c.limit, c.attempts, got, err, c.want)
		}
		if all := got.Clients + got.Attempts + got.Idle; c.limit > 0 && uint64(all)+min(filesWanted, c.limit/2) > c.limit {
			t.Errorf("%d descriptors: %d are given out", c.limit, all)
		}
	}
	if _, err := ShareDescriptors(63, 10); err == nil {
		t.Error("63 descriptors are enough")
	}
}
