//go:build !unix

package bench

import "time"

// ownCPU knows nothing here.
func ownCPU() (used time.Duration, ok bool) { return 0, false }
