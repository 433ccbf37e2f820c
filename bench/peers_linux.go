package bench

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// endWithParent has a program killed when the harness is: unlike our own roles it does not
// hold the harness's pipe. A Ctrl-C is the harness's alone, which then stops the program.
func endWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true
}

// notAsRoot has a program run as postgresUser if we are root, which it refuses to be, and
// gives it dir. That user must be able to reach dir.
func notAsRoot(cmd *exec.Cmd, dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup(postgresUser)
	if err != nil {
		return fmt.Errorf("%s does not run as root: %w", cmd.Args[0], err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("user %s has the numbers %q and %q", postgresUser, u.Uid, u.Gid)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(dir, int(uid), int(gid))
}

// family is a process and its children, as far as the system tells them: Postgres works in a
// process for each connection.
func family(pid int) []int {
	pids := []int{pid}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // of each thread
	if err != nil {
		panic("bench: BUG: " + err.Error())
	}
	for _, list := range lists {
		children, _ := os.ReadFile(list) // fails if the thread has ended, and has none
		for field := range strings.FieldsSeq(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
