package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/engine"
)

// mount is where a file lies.
type mount struct {
	point   string
	fsType  string
	source  string
	options []string
}

// Kinds of file systems by what they do to a log.
var (
	memoryTypes  = []string{"tmpfs", "ramfs", "hugetlbfs"}
	layerTypes   = []string{"overlay", "aufs"}
	networkTypes = []string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "lustre", "9p", "afs", "sshfs", "vboxsf"}
)

func judgeMount(m *mount, err error) Check {
	if err != nil {
		return skip("the file system: %v", err)
	}
	what := fmt.Sprintf("%s on %s (%s)", m.fsType, m.source, m.point)
	has := func(options ...string) string {
		for _, o := range options {
			if slices.Contains(m.options, o) {
				return o
			}
		}
		return ""
	}
	switch {
	case has("ro") != "":
		return fail("mount it read-write; after an error of the disk look at the kernel's log first", "%s is mounted read-only", what)
	case slices.Contains(memoryTypes, m.fsType):
		return warn("use a directory on a disk", "%s is memory: a restart of the machine loses everything", what)
	case slices.Contains(layerTypes, m.fsType):
		return warn("mount a volume for the data", "%s is a container's layer: it goes with the container", what)
	case slices.Contains(networkTypes, m.fsType) || strings.HasPrefix(m.fsType, "fuse"):
		return warn("use a local disk, or make sure that a flush reaches the other end's disk", "%s is not a local disk: what a flush promises there is the other end's affair", what)
	case has("nobarrier", "barrier=0") != "":
		return fail("mount it without that option", "%s is mounted with %s: a flush does not reach the disk, and a power cut loses what was acknowledged", what, has("nobarrier", "barrier=0"))
	}
	return okay("%s, mounted %s", what, strings.Join(m.options, ","))
}

// space is the room on a file system, in bytes and in inodes.
type space struct {
	total, free        int64
	inodes, inodesFree uint64 // 0 inodes: as many as there is room for, or unknown
}

// inodesLeast is what a server may need: segments, spares, and up to some thousand tables of the index.
const inodesLeast = 20_000

func judgeSpace(s *space, minFree, history int64, err error) Check {
	if err != nil {
		return skip("the room on the file system: %v", err)
	}
	floor := engine.FreeFloor(minFree, s.total)
	found := fmt.Sprintf("%s of %s free, publishes stop at %s", size(s.free), size(s.total), size(floor))
	var c Check
	switch {
	case floor > 0 && floor >= s.total:
		c = fail("set data.min-free lower", "data.min-free of %s is as much as the file system has, %s", size(floor), size(s.total))
	case s.free <= floor:
		c = fail("free some, or set data.min-free lower", "%s: a server would refuse every publish", found)
	case s.inodes > 0 && s.inodesFree < inodesLeast:
		c = warn("remove small files, or make the file system anew with more inodes", "%d of %d inodes are free", s.inodesFree, s.inodes)
	case s.free-floor < history:
		c = warn("free some, or set retention.history-size lower", "%s, and history alone may take %s (retention.history-size)", found, size(history))
	default:
		c = okay("%s", found)
	}
	return c.with("free_bytes", s.free, "total_bytes", s.total, "floor_bytes", floor, "inodes_free", s.inodesFree)
}

// device is the disk below a file system.
type device struct {
	name       string
	virtual    bool // of a hypervisor, or made of other disks: what it says of itself is not the disk's
	rotational bool
	writeCache string // "write back", "write through", or "" if it does not tell
}

func judgeDevice(d *device, err error) Check {
	if err != nil {
		return skip("the disk below the file system: %v", err)
	}
	cache := "does not tell of a write cache"
	switch d.writeCache {
	case "write back":
		cache = "caches writes until a flush"
	case "write through":
		cache = "says that it caches no writes"
	}
	if d.virtual {
		return okay("%s is virtual: what disk is below it does not show; it %s", d.name, cache)
	}
	if d.rotational {
		return warn("use a solid-state disk if publishes must be quick", "%s rotates, and it %s: a flush takes a turn, some 8 ms", d.name, cache)
	}
	return okay("%s does not rotate, and it %s", d.name, cache)
}

// syncs are the times of flushes of 4 KiB, one after the other.
type syncs struct {
	took    []time.Duration
	elapsed time.Duration
	beside  bool // a server was running meanwhile
}

// A flush that is quicker than syncFake comes from memory: a disk with a cache that survives a power cut
// takes about 20 µs with the file system on top. One that rotates and is quicker than syncTurn has
// such a cache or does not flush.
const (
	syncFake = 12 * time.Microsecond
	syncTurn = time.Millisecond
	syncSlow = 20 * time.Millisecond  // half of all
	syncTail = 100 * time.Millisecond // one in a hundred
)

func judgeSyncs(s *syncs, d *device, inMemory bool, err error) Check {
	if err != nil {
		return fail("mend what the message says, or name another directory with --data", "no file can be written and flushed: %v", err)
	}
	if inMemory {
		return skip("memory is not flushed")
	}
	if len(s.took) == 0 {
		return skip("flushes were not measured")
	}
	slices.Sort(s.took)
	p50, p99 := quantile(s.took, 50), quantile(s.took, 99)
	rate := float64(len(s.took)) / s.elapsed.Seconds()
	found := fmt.Sprintf("flushing 4 KiB takes %s, 99 %% within %s: about %.0f publishes/s from one lone producer, many at once share a flush",
		short(p50), short(p99), rate)
	if s.beside {
		found += " (beside a running server)"
	}
	var c Check
	switch {
	case p50 < syncFake:
		c = warn("make sure that flushes reach the disk: the hypervisor's cache mode, the controller's battery, eatmydata", "%s: no disk flushes that quickly", found)
	case d != nil && d.rotational && !d.virtual && p50 < syncTurn:
		c = warn("make sure that the cache of disk or controller survives a power cut, or switch it off", "%s: a disk that rotates does not flush that quickly", found)
	case p50 > syncSlow:
		c = warn("use a quicker disk, or one that is less busy", "%s: that is slow", found)
	case p99 > syncTail:
		c = warn("see what else writes to this disk", "%s: some take long", found)
	default:
		c = okay("%s", found)
	}
	return c.with("p50_us", p50.Microseconds(), "p99_us", p99.Microseconds(), "flushes", len(s.took), "per_second", int(rate))
}

// quantile returns the value that q percent of sorted are no greater than.
func quantile(sorted []time.Duration, q int) time.Duration {
	return sorted[(len(sorted)*q+99)/100-1]
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// size is a number of bytes as people read it, with one digit behind the point.
func size(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", config.GiB}, {"MiB", config.MiB}, {"KiB", config.KiB}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
