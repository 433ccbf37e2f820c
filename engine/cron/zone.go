package cron

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a machine without a zone database must know every zone too
)

const zoneHint = "want an IANA name such as Europe/Berlin, or UTC"

// cutZone takes a CRON_TZ= or TZ= prefix off trimmed cron text.
func cutZone(text string) (fields string, loc *time.Location, err error) {
	rest, ok := strings.CutPrefix(text, "CRON_TZ=")
	if !ok {
		rest, ok = strings.CutPrefix(text, "TZ=")
	}
	if !ok {
		return text, time.UTC, nil
	}
	name, fields := rest, ""
	if i := strings.IndexAny(rest, blanks); i >= 0 {
		name, fields = rest[:i], rest[i:]
	}
	loc, err = zones.load(name)
	return fields, loc, err
}

// maxZones bounds the cache below. The database has about 600 names; a file
// system that ignores case would make more of them.
const maxZones = 2000

// zones holds each zone once: a Location takes kilobytes, a schedule must not.
var zones = zoneCache{locs: map[string]*time.Location{}}

type zoneCache struct {
	mu   sync.Mutex
	locs map[string]*time.Location
}

func (c *zoneCache) load(name string) (*time.Location, error) {
	if !plainZoneName(name) {
		return nil, fmt.Errorf("time zone %q is not a plain name; %s", name, zoneHint)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if loc := c.locs[name]; loc != nil {
		return loc, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil { // its text may name files of this machine
		return nil, fmt.Errorf("time zone %q is not known; %s", name, zoneHint)
	}
	if len(c.locs) < maxZones {
		c.locs[name] = loc
	}
	return loc, nil
}

// plainZoneName lets through what may be an IANA name and no path: parts of
// letters, digits, _, + and -, with single slashes between. Not the names that
// mean whatever this machine is set to, nor the directories in which a zone
// database keeps its variants: right/ counts leap seconds.
func plainZoneName(name string) bool {
	parts := strings.Split(name, "/")
	if len(name) > 64 || len(parts) > 3 {
		return false
	}
	if slices.Contains([]string{"local", "localtime", "posixrules", "right", "posix"}, strings.ToLower(parts[0])) {
		return false
	}
	isOther := func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		return !letter && (c < '0' || c > '9') && c != '_' && c != '+' && c != '-'
	}
	for _, p := range parts {
		if p == "" || strings.IndexFunc(p, isOther) >= 0 {
			return false
		}
	}
	return true
}
