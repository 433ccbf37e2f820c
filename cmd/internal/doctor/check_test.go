package doctor

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"math"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

var errTest = errors.New("it broke")

// verdicts compares findings with "state: a part of the line".
type verdicts []struct {
	name string
	got  Check
	want string
}

func (vs verdicts) check(t *testing.T) {
	t.Helper()
	for _, v := range vs {
		state, part, _ := strings.Cut(v.want, ": ")
		line := v.got.line()
		if string(v.got.State) != state || !strings.Contains(line, part) || strings.Count(line, "\n") != 1 {
			t.Errorf("%s: %q, want %s", v.name, line, v.want)
		}
		if trouble := v.got.State == Warn || v.got.State == Fail; trouble != (v.got.Do != "") {
			t.Errorf("%s: %s, and what to do is %q", v.name, v.got.State, v.got.Do)
		}
	}
}

func TestJudgeDir(t *testing.T) {
	dir := func(edit func(*dirFacts)) Check {
		d := &dirFacts{path: "/d", isDir: true, mode: 0o700 | fs.ModeDir, uid: 7, euid: 7}
		edit(d)
		return judgeDir(d)
	}
	verdicts{
		{"sound", dir(func(*dirFacts) {}), "ok: /d, mode 0700"},
		{"none named", dir(func(d *dirFacts) { d.path = "" }), "skip: --data DIR"},
		{"not to be looked at", dir(func(d *dirFacts) { d.err = errTest }), "fail: it broke -> run this as the user"},
		{"missing", dir(func(d *dirFacts) { d.missing, d.parent = true, "/p" }), "ok: the first start makes it in /p"},
		{"missing, not to be made", dir(func(d *dirFacts) { d.missing, d.locked = true, true }), "fail: cannot be written to"},
		{"a file", dir(func(d *dirFacts) { d.isDir = false }), "fail: not a directory"},
		{"somebody else's", dir(func(d *dirFacts) { d.uid = 8 }), "fail: belongs to user 8, and this is user 7"},
		{"somebody else's, for root", dir(func(d *dirFacts) { d.euid = 0 }), "warn: as user 7"},
		{"owner not to be told", dir(func(d *dirFacts) { d.uid = -1 }), "ok: /d"},
		{"not writable", dir(func(d *dirFacts) { d.mode = 0o500 }), "fail: chmod 0700 /d"},
		{"others write", dir(func(d *dirFacts) { d.mode = 0o777 }), "fail: 0777: others can replace"},
		{"the group writes", dir(func(d *dirFacts) { d.mode = 0o770 }), "fail: 0770: others can replace"},
		{"others read", dir(func(d *dirFacts) { d.mode = 0o755 }), "warn: 0755: others can see"},
		{"another version", dir(func(d *dirFacts) { d.strange = errTest }), "fail: it broke -> name another directory"},
		{"two lines", dir(func(d *dirFacts) { d.err = errors.New("a\nb\x1b[2J") }), "fail: a b [2J"},
	}.check(t)
}

func TestJudgeServer(t *testing.T) {
	verdicts{
		{"none", judgeServer(&serverFacts{err: errTest}), "ok: none was found running"},
		{"well", judgeServer(&serverFacts{answers: true, url: "http://a"}), "ok: http://a accepts"},
		{"another's", judgeServer(&serverFacts{answers: true, free: true, url: "http://a"}), "ok: http://a runs on another"},
		{"another's, asked for", judgeServer(&serverFacts{answers: true, free: true, asked: true, url: "http://a"}), "ok: http://a accepts"},
		{"full", judgeServer(&serverFacts{answers: true, refusal: "the disk is full"}), "warn: the disk is full"},
		{"damaged", judgeServer(&serverFacts{answers: true, damaged: 2}), "warn: 2 damaged"},
		{"asked for, and silent", judgeServer(&serverFacts{asked: true, url: "http://a", err: errTest}), "fail: no tidemill answers at http://a: it broke"},
		{"held, and silent", judgeServer(&serverFacts{held: true, pid: 42}), "warn: process 42"},
	}.check(t)
}

// TestHere: a port that another directory's server holds is not free for this one's.
func TestHere(t *testing.T) {
	for _, c := range []struct {
		s    serverFacts
		want bool
	}{
		{serverFacts{}, false},
		{serverFacts{held: true}, true},
		{serverFacts{answers: true}, true},
		{serverFacts{answers: true, free: true}, false},
	} {
		if got := c.s.here(); got != c.want {
			t.Errorf("%+v: %v", c.s, got)
		}
	}
}

func TestJudgeMount(t *testing.T) {
	on := func(fsType string, options ...string) Check {
		return judgeMount(&mount{point: "/m", fsType: fsType, source: "/dev/x", options: options}, nil)
	}
	verdicts{
		{"ext4", on("ext4", "rw", "relatime"), "ok: ext4 on /dev/x (/m), mounted rw,relatime"},
		{"xfs", on("xfs", "rw"), "ok: xfs"},
		{"read-only", on("ext4", "ro"), "fail: read-only"},
		{"no barrier", on("ext4", "rw", "nobarrier"), "fail: nobarrier"},
		{"no barrier, in numbers", on("ext4", "rw", "barrier=0"), "fail: barrier=0"},
		{"with a barrier", on("ext4", "rw", "barrier=1"), "ok: ext4"},
		{"memory", on("tmpfs", "rw"), "warn: is memory"},
		{"a layer", on("overlay", "rw"), "warn: mount a volume"},
		{"network", on("nfs4", "rw"), "warn: not a local disk"},
		{"fuse", on("fuse.sshfs", "rw"), "warn: not a local disk"},
		{"unknown", judgeMount(nil, errTest), "skip: it broke"},
	}.check(t)
}

func TestJudgeSpace(t *testing.T) {
	room := func(free int64, inodes uint64) Check {
		return judgeSpace(&space{total: 100 * config.GiB, free: free, inodes: inodes, inodesFree: inodes / 2}, 0, 4*config.GiB, nil)
	}
	verdicts{
		{"enough", room(50*config.GiB, 1e6), "ok: 50.0 GiB of 100.0 GiB free, publishes stop at 512.0 MiB"},
		{"below the floor", room(512*config.MiB, 1e6), "fail: refuse every publish"},
		{"less than history takes", room(4*config.GiB, 1e6), "warn: history alone may take 4.0 GiB"},
		{"few inodes", room(50*config.GiB, 30_000), "warn: 15000 of 30000 inodes"},
		{"inodes without number", room(50*config.GiB, 0), "ok: 50.0 GiB"},
		{"a floor of its own", judgeSpace(&space{total: 10 * config.GiB, free: 6 * config.GiB}, 7*config.GiB, 0, nil), "fail: publishes stop at 7.0 GiB"},
		{"a floor above all", judgeSpace(&space{total: 10 * config.GiB, free: 6 * config.GiB}, 10*config.GiB, 0, nil), "fail: data.min-free of 10.0 GiB"},
		{"no floor", judgeSpace(&space{total: 10 * config.GiB, free: 1}, -1, 0, nil), "ok: 1 B of 10.0 GiB"},
		{"unknown", judgeSpace(nil, 0, 0, errTest), "skip: it broke"},
	}.check(t)
}

func TestJudgeDisk(t *testing.T) {
	verdicts{
		{"ssd", judgeDevice(&device{name: "nvme0n1", writeCache: "write back"}, nil), "ok: nvme0n1 does not rotate, and it caches writes until a flush"},
		{"disk", judgeDevice(&device{name: "sda", rotational: true, writeCache: "write through"}, nil), "warn: sda rotates, and it says that it caches no writes"},
		{"virtual", judgeDevice(&device{name: "vda", rotational: true, virtual: true}, nil), "ok: vda is virtual"},
		{"none", judgeDevice(nil, errTest), "skip: it broke"},
	}.check(t)
	// nine quick flushes, one slow
	flush := func(quick, slow time.Duration, d *device) Check {
		s := &syncs{took: append(slices.Repeat([]time.Duration{quick}, 9), slow)}
		for _, took := range s.took {
			s.elapsed += took
		}
		return judgeSyncs(s, d, false, nil)
	}
	turning := &device{rotational: true}
	const us, ms = time.Microsecond, time.Millisecond
	verdicts{
		{"good", flush(200*us, 1200*us, nil), "ok: takes 200 µs, 99 % within 1.2 ms: about 3333 publishes/s"},
		{"too good", flush(3*us, 5*us, nil), "warn: no disk flushes that quickly"},
		{"too good for a platter", flush(200*us, 300*us, turning), "warn: a disk that rotates does not"},
		{"good for a platter", flush(8*ms, 9*ms, turning), "ok: takes 8.0 ms"},
		{"a virtual platter", flush(200*us, 300*us, &device{rotational: true, virtual: true}), "ok: takes 200 µs"},
		{"slow", flush(30*ms, 40*ms, nil), "warn: that is slow"},
		{"stalls", flush(2*ms, 400*ms, nil), "warn: some take long -> see what else"},
		{"beside a server", judgeSyncs(&syncs{took: []time.Duration{ms}, elapsed: ms, beside: true}, nil, false, nil), "ok: (beside a running server)"},
		{"not measured", judgeSyncs(&syncs{}, nil, false, nil), "skip: not measured"},
		{"memory", judgeSyncs(&syncs{took: []time.Duration{us}, elapsed: us}, nil, true, nil), "skip: memory"},
		{"failing", judgeSyncs(nil, nil, false, errTest), "fail: it broke"},
	}.check(t)
}

func TestQuantile(t *testing.T) {
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(i+1))
	}
	for _, c := range []struct{ n, q, want int }{{200, 50, 100}, {200, 99, 198}, {1, 50, 1}, {1, 99, 1}, {3, 50, 2}, {200, 100, 200}} {
		if got := quantile(all[:c.n], c.q); int(got) != c.want {
			t.Errorf("quantile %d of %d: %d, want %d", c.q, c.n, got, c.want)
		}
	}
}

func TestJudgeMachine(t *testing.T) {
	mem := func(limit int64, cgroup bool, physical int64) Check {
		return judgeMemory(&memory{limit, cgroup, physical}, *config.Default(), 16<<10)
	}
	verdicts{
		{"many files", judgeFiles(65536, 1000), "ok: 1000 attempts"},
		{"few files", judgeFiles(1024, 1000), "warn: 192 attempts at one time (delivery.parallelism is 1000) and 256 clients -> raise it to 65536"},
		{"few clients", judgeFiles(1024, 10), "warn: clients"},
		{"hardly any files", judgeFiles(63, 10), "fail: does not start"},
		{"files untold", judgeFiles(0, 10), "skip: does not tell"},

		{"memory", mem(math.MaxInt64, false, 16*config.GiB), "ok: 16.0 GiB, enough"},
		{"memory in a cgroup without limit", mem(math.MaxInt64&^4095, true, 16*config.GiB), "ok: 16.0 GiB, enough"},
		{"a small machine", mem(math.MaxInt64, false, 1*config.GiB), "warn: set GOMEMLIMIT (or MemoryMax=) to three quarters of it, 768MiB"},
		{"a large cgroup", mem(8*config.GiB, true, 16*config.GiB), "ok: the cgroup allows 8.0 GiB"},
		{"a small cgroup", mem(256*config.MiB, true, 16*config.GiB), "warn: the cgroup allows 256.0 MiB: the server takes less than is configured of index.memtable"},
		{"a small GOMEMLIMIT", mem(256*config.MiB, false, 16*config.GiB), "warn: GOMEMLIMIT allows"},
		{"a limit above what is there", mem(8*config.GiB, false, 512*config.MiB), "warn: the machine has 512.0 MiB"},
		{"memory untold", mem(math.MaxInt64, false, 0), "skip: does not tell"},

		{"processors", judgeCPU(8, 8, math.Inf(1)), "ok: 8 processors, GOMAXPROCS is 8"},
		{"a quota", judgeCPU(8, 2, 1.5), "ok: the cgroup grants 1.5"},
		{"half a processor", judgeCPU(8, 2, 0.5), "warn: grants 0.5 of a processor"},

		{"backlog", judgeBacklog("4096\n", nil), "ok: 4096"},
		{"short backlog", judgeBacklog("128\n", nil), "warn: net.core.somaxconn is 128"},
		{"no backlog", judgeBacklog("", errTest), "skip: cannot be read"},
		{"strange backlog", judgeBacklog("x", nil), "skip: cannot be read"},
		{"ports", judgePorts("32768\t60999\n", nil), "ok: 28232 ports"},
		{"few ports", judgePorts("60000 60999", nil), "warn: 1000 ports"},
		{"no ports", judgePorts("", errTest), "skip: cannot be read"},
		{"strange ports", judgePorts("9 1", nil), "skip: cannot be read"},
		{"small pages", judgeHugePages("always [madvise] never", nil), "ok: madvise"},
		{"huge pages", judgeHugePages("[always] madvise never", nil), "warn: always used"},
		{"pages untold", judgeHugePages("always", nil), "skip: does not tell"},
		{"no pages", judgeHugePages("", errTest), "skip: does not tell"},

		{"settings", judgeConfig(nil, nil), "ok: valid"},
		{"doubtful settings", judgeConfig(nil, []string{"a", "b"}), "warn: a; b"},
		{"wrong settings", judgeConfig(errors.Join(errTest, errTest), []string{"a"}), "fail: it broke; it broke"},
	}.check(t)
}

func TestJudgeClock(t *testing.T) {
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(edit func(*clock)) Check {
		c := &clock{now: now, built: now.Add(-time.Hour), newest: now.Add(-time.Hour), during: time.Second}
		edit(c)
		return judgeClock(c)
	}
	verdicts{
		{"right", at(func(*clock) {}), "ok: it is 2027-01-02 03:04:05 UTC"},
		{"no data, no build", at(func(c *clock) { c.built, c.newest = time.Time{}, time.Time{} }), "ok: it is"},
		{"1970", at(func(c *clock) { c.now = time.Unix(0, 0) }), "fail: 1970-01-01 00:00:00 UTC, before this program was built"},
		{"before the build", at(func(c *clock) { c.built = now.Add(48 * time.Hour) }), "fail: before this program was built"},
		{"just built elsewhere", at(func(c *clock) { c.built = now.Add(time.Hour) }), "ok: it is"},
		{"2106", at(func(c *clock) { c.now = time.Unix(1<<32, 0) }), "fail: 2106"},
		{"data from the future", at(func(c *clock) { c.newest = now.Add(time.Hour) }), "warn: data were written at 2027-01-02 04:04:05 UTC"},
		{"data a little ahead", at(func(c *clock) { c.newest = now.Add(time.Second) }), "ok: it is"},
		{"set forward", at(func(c *clock) { c.stray = time.Second }), "warn: within 1s the clock was set by 1s"},
		{"set back", at(func(c *clock) { c.stray = -time.Second }), "warn: was set by -1s"},

		{"kept", judgeSyncState(syncState{true, 12 * time.Millisecond}, nil), "ok: within 12ms"},
		{"kept badly", judgeSyncState(syncState{true, 3 * time.Second}, nil), "warn: may be off by 3s"},
		{"not kept", judgeSyncState(syncState{}, nil), "warn: run chrony"},
		{"not told", judgeSyncState(syncState{}, errTest), "skip: it broke"},
	}.check(t)
}

func TestJudgePorts(t *testing.T) {
	listening := func(err error) error { return &net.OpError{Op: "listen", Err: err} }
	port := func(err error, running bool) Check { return judgePort("listen", ":80", err, running) }
	admin := func(addr string, err error) Check {
		return judgeAdminAddr(addr, judgePort("admin.listen", addr, err, false))
	}
	verdicts{
		{"free", port(nil, false), "ok: :80 is free"},
		{"taken", port(listening(syscall.EADDRINUSE), false), "fail: choose another with --listen"},
		{"taken by tidemill", port(listening(syscall.EADDRINUSE), true), "ok: a tidemill runs here"},
		{"privileged", port(listening(syscall.EACCES), false), "fail: CAP_NET_BIND_SERVICE"},
		{"elsewhere's", port(listening(syscall.EADDRNOTAVAIL), false), "fail: no address of this machine"},
		{"strange", port(errTest, false), "fail: it broke"},
		{"admin off", admin("off", nil), "ok: off"},
		{"admin on loopback", admin("127.0.0.1:9080", nil), "ok: is free"},
		{"admin on loopback by name", admin("localhost:9080", nil), "ok: is free"},
		{"admin on IPv6's loopback", admin("[::1]:9080", nil), "ok: is free"},
		{"admin for everybody", admin(":9080", nil), "warn: it takes no token"},
		{"admin on a network", admin("10.0.0.1:9080", nil), "warn: it takes no token"},
		{"admin taken", admin(":9080", listening(syscall.EADDRINUSE)), "fail: is taken"},
	}.check(t)
}

func TestJudgeRoots(t *testing.T) {
	some := x509.NewCertPool()
	some.AddCert(&x509.Certificate{Raw: []byte("x"), RawSubject: []byte("x")})
	verdicts{
		{"the system's", judgeRoots(some, nil, "", nil), "ok: the system's"},
		{"and a file's", judgeRoots(some, some, "f", nil), "ok: those in f"},
		{"none", judgeRoots(x509.NewCertPool(), nil, "", nil), "warn: ca-certificates"},
		{"no pool", judgeRoots(nil, nil, "", nil), "warn: ca-certificates"},
		{"a bad file", judgeRoots(some, nil, "f", errTest), "fail: it broke"},
	}.check(t)
}
