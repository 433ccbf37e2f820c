package limits

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestCgroupLimit(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a/memory.max", "max\n")
	write("a/b/memory.max", "134217728\n")
	write("a/b/c/memory.max", "268435456\n")
	write("memory/x/memory.limit_in_bytes", "1048576\n")
	write("memory/memory.limit_in_bytes", "9223372036854771712\n")
	for membership, want := range map[string]int64{
		"0::/a/b/c\n":                  128 << 20, // the one above holds, too
		"0::/a\n":                      math.MaxInt64,
		"0::/not/in/this/namespace\n":  math.MaxInt64,
		"5:cpu:/x\n4:memory:/x\n0::/a": 1 << 20,
		"4:memory:/elsewhere\n":        9223372036854771712,
		"garbage\n":                    math.MaxInt64,
		"":                             math.MaxInt64,
	} {
		write("membership", membership)
		if got := cgroupLimit(filepath.Join(root, "membership"), root); got != want {
			t.Errorf("%q: %d, want %d", membership, got, want)
		}
	}
	if got := cgroupLimit(filepath.Join(root, "none"), root); got != math.MaxInt64 {
		t.Errorf("no /proc: %d", got)
	}
}

func TestCPUQuota(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a/cpu.max", "150000 100000\n")
	write("a/b/cpu.max", "max 100000\n")
	write("a/b/c/cpu.max", "20000 100000\n")
	write("cpu/x/cpu.cfs_quota_us", "50000\n")
	write("cpu/x/cpu.cfs_period_us", "100000\n")
	write("cpu/cpu.cfs_quota_us", "-1\n")
	write("cpu/cpu.cfs_period_us", "100000\n")
	for membership, want := range map[string]float64{
		"0::/a/b\n":                     1.5, // the one above holds
		"0::/a/b/c\n":                   0.2,
		"0::/elsewhere\n":               math.Inf(1),
		"4:cpu,cpuacct:/x\n5:memory:/y": 0.5,
		"4:cpu:/\n":                     math.Inf(1),
		"garbage\n":                     math.Inf(1),
	} {
		write("membership", membership)
		if got := cpuQuota(filepath.Join(root, "membership"), root); got != want {
			t.Errorf("%q: %v, want %v", membership, got, want)
		}
	}
}
