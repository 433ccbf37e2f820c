//go:build !linux

package bench

import "os/exec"

// endWithParent does nothing where the system has no such thing.
func endWithParent(*exec.Cmd) {}

// notAsRoot leaves the user as it is: a program that does not run as root says so.
func notAsRoot(*exec.Cmd, string) error { return nil }

// family is the process alone: nothing tells its children, or their CPU time.
func family(pid int) []int { return []int{pid} }
