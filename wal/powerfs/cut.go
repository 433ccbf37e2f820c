package powerfs

import (
	"hash/fnv"
	"math/rand/v2"
	"path"
	"slices"
)

// Cut returns the disk that a power cut at this moment leaves. Of each grain of
// unsynced bytes (a multiple of 512), and of each directory's unsynced changes
// one after the other, percent in a hundred survive. Each file's and directory's
// luck depends on the seed and its path alone, not on what else is there. NoSync,
// Keep and the bound of SetFree hold for the new disk too, Fault does not.
func (f *FS) Cut(seed uint64, percent, grain int) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := New()
	q.NoSync, q.Keep, q.bounded, q.size = f.NoSync, f.Keep, f.bounded, f.size
	q.root = f.root.cut("/", &cutter{seed, percent, grain})
	return q
}

// cutter draws what survives a power cut.
type cutter struct {
	seed           uint64
	percent, grain int
}

func (c *cutter) rng(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(c.seed, h.Sum64()))
}

func (n *node) cut(name string, c *cutter) *node {
	rng := c.rng(name)
	if !n.isDir() {
		disk := n.survivors(rng, c.percent, c.grain)
		return &node{cache: slices.Clone(disk), disk: disk, dirty: make([]uint64, words(len(disk)))}
	}
	names := map[string]*node{}
	for name, child := range n.durable {
		names[name] = child
	}
	for _, change := range n.pending {
		if rng.IntN(100) >= c.percent {
			break
		}
		change(names)
	}
	d := newDir()
	for _, base := range sortedNames(names) {
		child := names[base].cut(path.Join(name, base), c)
		d.names[base], d.durable[base] = child, child
	}
	return d
}

func (n *node) survivors(rng *rand.Rand, percent, grain int) []byte {
	disk := slices.Clone(n.disk)
	for off := 0; off < len(n.cache); off += grain {
		if !n.anyDirty(off, off+grain) || rng.IntN(100) >= percent {
			continue
		}
		for o := off; o < min(off+grain, len(n.cache)); o += sector {
			if n.isDirty(o / sector) {
				disk = writeAt(disk, n.cache[o:min(o+sector, len(n.cache))], o)
			}
		}
	}
	return disk
}

func (n *node) anyDirty(from, to int) bool {
	for o := from; o < min(to, len(n.cache)); o += sector {
		if n.isDirty(o / sector) {
			return true
		}
	}
	return false
}
