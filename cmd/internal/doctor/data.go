package doctor

import (
	"fmt"
	"io/fs"
)

// dirFacts are what is known of the data directory.
type dirFacts struct {
	path    string
	err     error // of looking at it
	missing bool
	parent  string // the nearest directory above that exists, if it is missing
	locked  bool   // parent cannot be written to
	isDir   bool
	mode    fs.FileMode
	uid     int   // its owner; -1: cannot be told
	euid    int   // ours; -1: cannot be told
	strange error // what a server would say to what it holds
}

func judgeDir(d *dirFacts) Check {
	switch {
	case d.path == "":
		return skip("no data directory is named: name one with --data DIR or TIDEMILL_DATA")
	case d.err != nil:
		return fail("run this as the user that the server runs as", "%v", d.err)
	case d.missing && d.locked:
		return fail("make it for the server's user, with mode 0700", "%s does not exist, and %s cannot be written to", d.path, d.parent)
	case d.missing:
		return okay("%s does not exist; the first start makes it in %s", d.path, d.parent)
	case !d.isDir:
		return fail("name a directory with --data", "%s is not a directory", d.path)
	}
	return judgeMode(d)
}

func judgeMode(d *dirFacts) Check {
	perm := d.mode.Perm()
	chmod := fmt.Sprintf("chmod 0700 %s", d.path)
	switch {
	case d.uid >= 0 && d.uid != d.euid && d.euid == 0:
		return warn(fmt.Sprintf("run the server, and this, as user %d", d.uid), "%s belongs to user %d, and this is root: what a server makes as root its owner cannot read", d.path, d.uid)
	case d.uid >= 0 && d.uid != d.euid:
		return fail(fmt.Sprintf("run this as user %d, or chown it", d.uid), "%s belongs to user %d, and this is user %d", d.path, d.uid, d.euid)
	case perm&0o700 != 0o700:
		return fail(chmod, "%s has mode %04o: its owner cannot work in it", d.path, perm)
	case d.strange != nil:
		return fail("name another directory, or use the server of that version", "%v", d.strange)
	case perm&0o022 != 0:
		return fail(chmod, "%s has mode %04o: others can replace what is in it", d.path, perm)
	case perm&0o077 != 0:
		return warn(chmod, "%s has mode %04o: others can see what is in it", d.path, perm)
	}
	return okay("%s, mode %04o, its owner's alone", d.path, perm)
}

// serverFacts are what is known of a server that runs.
type serverFacts struct {
	held    bool // the directory's LOCK
	free    bool // the directory's LOCK: who answers runs on another directory
	pid     int  // by whom
	url     string
	answers bool   // the admin listener
	refusal string // why it does not accept publishes; "" if it does
	damaged int64  // ranges and messages
	asked   bool   // by --from: it should answer
	err     error  // of asking
}

// here says whether ports that are taken are taken by the server that runs with these settings.
func (s *serverFacts) here() bool { return s.held || s.answers && !s.free }

func judgeServer(s *serverFacts) Check {
	switch {
	case s.answers && s.refusal != "":
		return warn("see what it says, and its log", "a server at %s does not accept publishes: %s", s.url, s.refusal)
	case s.answers && s.damaged > 0:
		return warn("stop it and run `tidemill wal verify`", "the server at %s found %d damaged places or messages", s.url, s.damaged)
	case s.answers && s.free && !s.asked:
		return okay("none runs on the data directory; one at %s runs on another", s.url)
	case s.answers:
		return okay("a server at %s accepts publishes", s.url)
	case s.asked:
		return fail("name the admin listener of a running server with --from", "no tidemill answers at %s: %v", s.url, s.err)
	case s.held:
		return warn("name its admin listener with --from, to have it looked at", "process %d runs on the data directory, and nothing answers at %s", s.pid, s.url)
	}
	return okay("none was found running")
}
