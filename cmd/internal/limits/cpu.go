package limits

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CPUQuota is how many processors' time the cgroups of this process grant it. +Inf is no quota.
func CPUQuota() float64 { return cpuQuota("/proc/self/cgroup", "/sys/fs/cgroup") }

func cpuQuota(membership, mount string) float64 {
	quota := math.Inf(1)
	for g := range cgroups(membership, mount, "cpu") {
		var spent, period string
		if g.v1 {
			spent, period = textOf(g.dir, "cpu.cfs_quota_us"), textOf(g.dir, "cpu.cfs_period_us")
		} else {
			spent, period, _ = strings.Cut(textOf(g.dir, "cpu.max"), " ")
		}
		s, err1 := strconv.ParseFloat(spent, 64) // "max" and -1 are none
		p, err2 := strconv.ParseFloat(period, 64)
		if err1 == nil && err2 == nil && s > 0 && p > 0 {
			quota = min(quota, s/p)
		}
	}
	return quota
}

func textOf(dir, name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, name)) // no file: no limit
	return strings.TrimSpace(string(text))
}
