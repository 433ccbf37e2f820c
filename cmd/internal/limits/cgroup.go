package limits

import (
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cgroup is the directory of a control group, of version 1 or 2.
type cgroup struct {
	dir string
	v1  bool
}

// cgroups yields the groups that a process is in and that have a say over what the controller
// controls, and those above them. In a container the path is often not there, and the limit is that
// of the root which the container sees.
func cgroups(membership, mount, controller string) iter.Seq[cgroup] {
	return func(yield func(cgroup) bool) {
		text, err := os.ReadFile(membership)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
			controllers, path, ok := strings.Cut(rest, ":")
			v1 := slices.Contains(strings.Split(controllers, ","), controller)
			if !ok || controllers != "" && !v1 {
				continue
			}
			root := mount
			if v1 {
				root = filepath.Join(mount, controller)
			}
			for path = filepath.Clean("/" + path); ; path = filepath.Dir(path) {
				if !yield(cgroup{filepath.Join(root, path), v1}) {
					return
				}
				if path == "/" {
					break
				}
			}
		}
	}
}
