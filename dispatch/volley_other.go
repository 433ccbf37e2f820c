//go:build !unix

package dispatch

// volley needs system calls that block on nothing; elsewhere a request is written and
// then its answer read.
type volley struct{}

func (*volley) init() {}

func (*exchange) volleys() bool { return false }

// sendVolley is not called.
func (*exchange) sendVolley() (keep bool, err error) { return false, errStale }
