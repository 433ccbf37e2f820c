package config

import (
	"slices"
	"testing"
)

func TestFitMemory(t *testing.T) {
	c, clients := Default(), 16<<10
	if changed := c.FitMemory(8*GiB, &clients); len(changed) != 0 {
		t.Errorf("8 GiB changes %v", changed)
	}
	changed := c.FitMemory(128*MiB, &clients)
	want := []string{"index.memtable", "index.cache", "publish.inflight-bytes", "delivery.resident", "connections"}
	if !slices.Equal(changed, want) || c.Memtable != 8*MiB || c.Cache != 8*MiB || c.InflightMax != 16*MiB || clients != 682 {
		t.Errorf("128 MiB changes %v to %+v, %d clients", changed, c, clients)
	}
	c.MessageMax = 64 * MiB
	if c.FitMemory(16*MiB, &clients); c.InflightMax != 16*MiB || c.Resident < 1 || c.Memtable != 1*MiB {
		t.Errorf("16 MiB: %+v", c)
	}
}
