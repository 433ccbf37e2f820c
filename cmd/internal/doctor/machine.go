package doctor

import (
	"crypto/x509"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/limits"
)

// clientsFew is a number of connections below which a busy client is refused some.
const clientsFew = 1000

func judgeFiles(limit uint64, parallelism int) Check {
	const raise = "raise it to 65536 (ulimit -n, LimitNOFILE=)"
	d, err := limits.ShareDescriptors(limit, parallelism)
	switch {
	case err != nil:
		return fail(raise, "a process may open %d files and connections: a server does not start", limit)
	case limit == 0:
		return skip("this system does not tell how many files a process may open")
	case d.Attempts < parallelism:
		return warn(raise, "a process may open %d files and connections: that leaves %d attempts at one time (delivery.parallelism is %d) and %d clients", limit, d.Attempts, parallelism, d.Clients)
	case d.Clients < clientsFew:
		return warn(raise, "a process may open %d files and connections: that leaves %d clients", limit, d.Clients)
	}
	return okay("a process may open %d files and connections: %d attempts at one time, %d clients", limit, d.Attempts, d.Clients).with("limit", limit)
}

// limitNone and more is no limit: a cgroup of version 1 says so with the largest number of whole pages.
const limitNone = 1 << 60

// memory is what there is of it, in bytes. No physical memory is what is not known.
type memory struct {
	limit    int64 // GOMEMLIMIT's or a cgroup's
	cgroup   bool
	physical int64
}

func judgeMemory(m *memory, cfg config.Config, clients int) Check {
	limited, whose := m.limit < limitNone, "GOMEMLIMIT"
	if m.cgroup {
		whose = "the cgroup"
	}
	most := m.limit
	if m.physical > 0 {
		most = min(most, m.physical)
	}
	if most >= limitNone {
		return skip("this system does not tell how much memory there is")
	}
	changed := strings.Join(cfg.FitMemory(most, &clients), ", ") // cfg is a copy
	switch {
	case changed == "" && limited:
		return okay("%s allows %s, enough for the configuration", whose, size(m.limit))
	case changed == "":
		return okay("%s, enough for the configuration", size(m.physical))
	case limited && m.limit <= most:
		return warn("raise it, or set these lower", "%s allows %s: the server takes less than is configured of %s", whose, size(m.limit), changed)
	case limited:
		return warn("lower the limit to what is there", "%s allows %s, and the machine has %s", whose, size(m.limit), size(m.physical))
	}
	return warn(fmt.Sprintf("set GOMEMLIMIT (or MemoryMax=) to three quarters of it, %dMiB: the server then takes its shares of that", m.physical/4*3/config.MiB),
		"the machine has %s, too little for the configuration, and no limit says so to the server", size(m.physical))
}

func judgeCPU(cpus, procs int, quota float64) Check {
	switch {
	case quota < 1:
		return warn("raise it to one processor at least (CPUQuota=, --cpus)", "the cgroup grants %.2g of a processor: once it is used up everything stands still for up to 100 ms", quota)
	case !math.IsInf(quota, 1):
		return okay("%d processors, the cgroup grants %.2g of them, GOMAXPROCS is %d", cpus, quota, procs)
	}
	return okay("%d processors, GOMAXPROCS is %d", cpus, procs)
}

// clock is what the wall clock says, and what there is to compare it with.
type clock struct {
	now    time.Time
	built  time.Time     // of this program; zero: not known
	newest time.Time     // of the data; zero: there are none
	stray  time.Duration // how far it went from the monotonic clock
	during time.Duration // meanwhile
}

const (
	clockAhead = time.Minute            // that data may be from the future, for clocks that are set now and then
	clockStray = 100 * time.Millisecond // within some seconds; slewing makes 0.5 ms per second
)

// earliest is a year in which this program did not exist yet.
var earliest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func judgeClock(c *clock) Check {
	const set = "set the clock (chrony, systemd-timesyncd)"
	when := c.now.UTC().Format("2006-01-02 15:04:05 MST")
	switch {
	case c.now.Before(earliest) || c.now.Before(c.built.Add(-24*time.Hour)):
		return fail(set, "it is %s, before this program was built", when)
	case c.now.Year() >= 2100:
		return fail(set, "it is %s", when)
	case c.newest.Sub(c.now) > clockAhead:
		return warn(set+"; what was due by the old time waits for it to come again", "it is %s, and data were written at %s: the clock was set back", when, c.newest.UTC().Format("2006-01-02 15:04:05 MST"))
	case c.stray.Abs() > clockStray:
		return warn("find out what sets the clock, and have it slewed", "within %v the clock was set by %v", c.during.Round(time.Millisecond), c.stray.Round(time.Millisecond))
	}
	return okay("it is %s", when)
}

// syncState is what adjtimex(2) tells of the wall clock.
type syncState struct {
	synced bool
	most   time.Duration // that it may be off
}

func judgeSyncState(s syncState, err error) Check {
	const run = "run chrony or systemd-timesyncd, or check that it reaches its servers"
	switch {
	case err != nil:
		return skip("whether the clock is kept: %v", err)
	case !s.synced:
		return warn(run, "nothing keeps the clock: delays and schedules follow it wherever it goes, and signatures are good for 5 minutes of it")
	case s.most > time.Second:
		return warn(run, "the clock may be off by %v", s.most.Round(time.Millisecond))
	}
	return okay("the clock is kept, within %v", s.most.Round(time.Microsecond))
}

func judgeRoots(system, configured *x509.CertPool, file string, err error) Check {
	switch {
	case err != nil:
		return fail("name a file of certificates in PEM form with destinations.ca-file, or none", "%v", err)
	case system == nil || system.Equal(x509.NewCertPool()):
		return warn("install the package ca-certificates", "the system has no certificate authorities: no https destination can be reached")
	case configured != nil:
		return okay("the system's certificate authorities, and those in %s", file)
	}
	return okay("the system's certificate authorities")
}
