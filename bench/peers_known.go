package bench

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// peer is a system that people use for what the server does. It is installed by whoever
// wants the comparison, and started here in its most careful mode: what it has acknowledged
// is synced.
type peer struct {
	name       string
	programs   []string // that must be on PATH; the first is asked for its version
	since      [2]int   // the least version, major and minor
	durability string
	install    string
	start      func(ctx context.Context, s *system) error
}

// peers are all that are known, in the order of the tables.
var peers = []peer{
	{
		name: "redis", programs: []string{"redis-server"}, since: [2]int{6, 2},
		durability: "appendonly yes, appendfsync always",
		install:    "apt-get install redis-server",
		start:      startRedis,
	},
	{
		name: "quirrel", programs: []string{"quirrel", "redis-server"},
		durability: "Redis with appendonly yes, appendfsync always",
		install:    "apt-get install redis-server && npm install --global --ignore-scripts quirrel@1.14.1",
		start:      startQuirrel,
	},
	{
		name: "nats", programs: []string{"nats-server"}, since: [2]int{2, 10},
		durability: "JetStream file store, sync_interval always",
		install:    "go install github.com/nats-io/nats-server/v2@latest, and Go's bin directory on PATH",
		start:      startNATS,
	},
	{
		name: "postgres", programs: []string{"postgres", "initdb"}, since: [2]int{12, 0},
		durability: "fsync on, synchronous_commit on, a commit for each row",
		install:    "apt-get install postgresql, and its bin directory (/usr/lib/postgresql/VERSION/bin) on PATH",
		start:      startPostgres,
	},
}

// PeerInfo says what is known of a peer on this machine.
type PeerInfo struct {
	Name       string `json:"name"`
	Version    string `json:"version,omitempty"`
	Durability string `json:"durability"` // as it is started here
	Install    string `json:"install"`    // commands that install it
	Missing    string `json:"missing,omitempty"`
}

// KnownPeers looks for the peers of these names on PATH, or for all of them if there are no
// names. Missing says why one cannot be measured.
func KnownPeers(ctx context.Context, names ...string) ([]PeerInfo, error) {
	chosen, err := peersNamed(names)
	if err != nil {
		return nil, err
	}
	infos := make([]PeerInfo, len(chosen))
	for i, p := range chosen {
		infos[i] = p.look(ctx)
	}
	return infos, nil
}

// PeerNames are the names of all that are known.
func PeerNames() []string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.name
	}
	return names
}

// peersNamed returns the peers of these names, in their usual order, or all.
func peersNamed(names []string) (out []peer, err error) {
	if len(names) == 0 {
		return peers, nil
	}
	for _, name := range names {
		if !slices.Contains(PeerNames(), name) {
			return nil, fmt.Errorf("no peer is called %q: want %s", name, strings.Join(PeerNames(), ", "))
		}
	}
	for _, p := range peers {
		if slices.Contains(names, p.name) {
			out = append(out, p)
		}
	}
	return out, nil
}

func (p *peer) look(ctx context.Context) PeerInfo {
	info := PeerInfo{Name: p.name, Durability: p.durability, Install: p.install}
	for _, program := range p.programs {
		if _, err := exec.LookPath(program); err != nil {
			info.Missing = program + " is not on PATH"
			return info
		}
	}
	version, err := versionOf(ctx, p.programs[0])
	if err != nil {
		info.Missing = err.Error()
		return info
	}
	info.Version = version.text
	if version.older(p.since) {
		info.Missing = fmt.Sprintf("%s %s is too old: want %d.%d or later", p.programs[0], version.text, p.since[0], p.since[1])
	}
	return info
}

type version struct {
	text         string
	major, minor int
}

func (v version) older(than [2]int) bool {
	return v.major < than[0] || v.major == than[0] && v.minor < than[1]
}

var versionText = regexp.MustCompile(`(\d+)\.(\d+)[.\d]*`)

// versionOf asks a program for its version, for ten seconds at most.
func versionOf(ctx context.Context, program string) (version, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return version{}, fmt.Errorf("%s --version: %w", program, err)
	}
	m := versionText.FindSubmatch(out)
	if m == nil {
		return version{}, fmt.Errorf("%s --version says no version: %.100q", program, out)
	}
	major, err1 := strconv.Atoi(string(m[1]))
	minor, err2 := strconv.Atoi(string(m[2]))
	if err1 != nil || err2 != nil {
		return version{}, fmt.Errorf("%s --version: %s is no version", program, m[0])
	}
	return version{strings.TrimRight(string(m[0]), "."), major, minor}, nil
}
