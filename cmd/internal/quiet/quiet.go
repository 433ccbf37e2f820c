// Package quiet keeps bubbletea from asking the terminal for its colours when the program
// starts.
//
// bubbletea v1 asks in its init, so on every command and not on top alone, which does not
// need the answer. A terminal that gives none (a serial console, expect, a container's) would
// hold up each command for the five seconds that bubbletea waits, with the question on the
// screen. It does not ask where TERM is dumb. This package imports os and nothing else, so
// it is initialized before what bubbletea imports; a test of the program holds it to that.
// bubbletea v2 asks no more: with it this package goes.
package quiet

import "os"

var term, hadTerm = os.LookupEnv("TERM")

func init() { os.Setenv("TERM", "dumb") }

// Restore gives TERM back its value. main calls it first.
func Restore() {
	if hadTerm {
		os.Setenv("TERM", term)
		return
	}
	os.Unsetenv("TERM")
}
