package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of /proc/<pid>/stat. The kernel reports 100 ticks a second
// to user space on every architecture that Go runs on, whatever its own rate.
const clockTick = 10 * time.Millisecond

// cpuTime is the user and system time that a process has used, by /proc. ok is
// false where there is no such file: another operating system, or no such process.
func cpuTime(pid int) (used time.Duration, ok bool) {
	if pid <= 0 {
		return 0, false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	return parseStat(stat)
}

// parseStat takes utime and stime, the 14th and 15th field of proc(5)'s stat. The
// second field is a name in brackets that may hold spaces and brackets.
func parseStat(stat []byte) (time.Duration, bool) {
	_, rest, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest) // from the third field on
	if !found || len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseUint(string(fields[11]), 10, 63)
	system, err2 := strconv.ParseUint(string(fields[12]), 10, 63)
	if err1 != nil || err2 != nil {
		return 0, false
	}
	return time.Duration(user+system) * clockTick, true
}
