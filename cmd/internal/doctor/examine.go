package doctor

import (
	"context"
	"crypto/x509"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/limits"
)

// patient is what is examined: a configuration, and the server that may run with it.
type patient struct {
	cfg       *config.Config
	cfgErr    error // what is wrong with it
	from      string
	syncFor   time.Duration // 0: flushes are not measured
	loadRoots func(file string) (*x509.CertPool, error)
}

// examine makes the checks in the order in which what they find explains what comes after, and hands
// each over when it is made.
func (p *patient) examine(ctx context.Context, found func(Check)) {
	began := time.Now()
	tell := func(name string, c Check) {
		c.Name = name
		found(c)
	}
	tell("configuration", judgeConfig(p.cfgErr, p.cfg.Warnings))
	dir := dirFactsOf(p.cfg.Data)
	tell("data", judgeDir(dir))
	server := p.server(ctx, dir)
	tell("server", judgeServer(server))
	if p.cfg.Data == "" || dir.err != nil {
		for _, name := range []string{"filesystem", "space", "disk", "flush"} {
			tell(name, skip("no data directory can be looked at"))
		}
	} else {
		p.examineDisk(ctx, server, tell)
	}
	p.examineMachine(tell)
	p.examinePorts(server, tell)
	now := time.Now()
	tell("clock", judgeClock(&clock{
		now: now, built: builtAt(), newest: newestIn(p.cfg.Data),
		stray: now.Round(0).Sub(began.Round(0)) - now.Sub(began), during: now.Sub(began),
	}))
	tell("clock kept", judgeSyncState(clockState()))
}

// server finds out whether one runs on the directory, or answers where one should.
func (p *patient) server(ctx context.Context, d *dirFacts) *serverFacts {
	s := &serverFacts{asked: p.from != "", url: p.from}
	if d.path != "" && d.err == nil {
		pid, held, err := lockHolder(d.path) // where that cannot be told, the listener alone says
		s.pid, s.held, s.free = pid, held, !held && err == nil
	}
	if s.url == "" {
		s.url = p.cfg.AdminListen
	}
	if s.url == config.AdminOff {
		s.url = "admin.listen, which is off"
		return s
	}
	if !strings.Contains(s.url, "://") {
		s.url = "http://" + s.url
	}
	s.url = strings.TrimSuffix(s.url, "/")
	s.ask(ctx)
	return s
}

func (p *patient) examineDisk(ctx context.Context, server *serverFacts, tell func(string, Check)) {
	dir := existing(p.cfg.Data)
	m, mountErr := mountOf(dir)
	tell("filesystem", judgeMount(m, mountErr))
	room, err := spaceOf(dir)
	tell("space", judgeSpace(room, p.cfg.MinFree, p.cfg.HistorySize, err))
	var disk *device
	inMemory := mountErr == nil && slices.Contains(memoryTypes, m.fsType)
	if mountErr != nil {
		err = mountErr
	} else {
		disk, err = deviceOf(m)
	}
	tell("disk", judgeDevice(disk, err))
	s, err := &syncs{}, error(nil)
	if p.syncFor > 0 && writable(dir) {
		s, err = measureSyncs(ctx, dir, p.syncFor)
	}
	if s != nil {
		s.beside = server.held
	}
	tell("flush", judgeSyncs(s, disk, inMemory, err))
}

func (p *patient) examineMachine(tell func(string, Check)) {
	tell("open files", judgeFiles(limits.OpenFiles(), p.cfg.Parallelism))
	mem := &memory{physical: physicalMemory()}
	mem.limit, mem.cgroup = limits.Memory()
	shares, err := limits.ShareDescriptors(limits.OpenFiles(), p.cfg.Parallelism)
	if err != nil {
		shares.Clients = 1
	}
	tell("memory", judgeMemory(mem, *p.cfg, shares.Clients))
	tell("processors", judgeCPU(runtime.NumCPU(), runtime.GOMAXPROCS(0), limits.CPUQuota()))
	tell("backlog", judgeBacklog(kernelSetting("/proc/sys/net/core/somaxconn")))
	tell("local ports", judgePorts(kernelSetting("/proc/sys/net/ipv4/ip_local_port_range")))
	tell("huge pages", judgeHugePages(kernelSetting("/sys/kernel/mm/transparent_hugepage/enabled")))
	system, err := x509.SystemCertPool()
	var configured *x509.CertPool
	if err == nil {
		configured, err = p.loadRoots(p.cfg.CAFile)
	}
	tell("certificates", judgeRoots(system, configured, filepath.Clean(p.cfg.CAFile), err))
}

func (p *patient) examinePorts(server *serverFacts, tell func(string, Check)) {
	running := server.here()
	tell("listen", judgePort("listen", p.cfg.Listen, tryListen(p.cfg.Listen), running))
	addr := p.cfg.AdminListen
	var err error
	if addr != config.AdminOff {
		err = tryListen(addr)
	}
	tell("admin.listen", judgeAdminAddr(addr, judgePort("admin.listen", addr, err, running)))
}

// judgeConfig tells all that is wrong with the settings on one line.
func judgeConfig(err error, warnings []string) Check {
	switch {
	case err != nil:
		return fail("mend the setting that is named", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	case len(warnings) > 0:
		return warn("see `tidemill config check`", "%s", strings.Join(warnings, "; "))
	}
	return okay("the settings are valid")
}
