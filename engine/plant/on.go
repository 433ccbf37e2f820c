//go:build teeth

package plant

import "os"

var planted = os.Getenv("TIDEMILL_PLANT")

// Bug reports whether the bug of that name is there: TIDEMILL_PLANT names one, and Set.
func Bug(name string) bool { return planted == name }

// Set plants one bug in place of the one before, "" none. No engine may run meanwhile.
func Set(name string) { planted = name }
