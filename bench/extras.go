package bench

import (
	"context"
	"errors"
)

// extras are what Common adds to Publish and Deliver: a side for the disk, in Deliver one for
// a bare echo too, and a look at the server's runtime.
type extras struct {
	disk  *slab  // nil: no such side
	admin string // "": no look
}

// closedOnly refuses extras in an open loop: they say something of a peak.
func (c *Common) closedOnly(r Rate) error {
	if r.given() && (c.Runtime || c.Disk != "") {
		return errors.New("the runtime and the disk are measured in a closed loop: leave out the rate")
	}
	return nil
}

// extrasBlock is a group of records under load.
const extrasBlock = 16 << 10

func newExtras(ctx context.Context, o *Common, s Server) (x extras, err error) {
	if o.Runtime {
		g, err := newGoRuntime(ctx, s)
		if err != nil {
			return x, err
		}
		x.admin = g.admin
	}
	if o.Disk != "" {
		x.disk, err = newSlab(o.Disk)
	}
	return x, err
}

// runtime is what follows the server's through one comparison; nil if nothing does.
func (x *extras) runtime() *goRuntime {
	if x.admin == "" {
		return nil
	}
	return &goRuntime{admin: x.admin}
}

// sides adds the disk's, if there is one.
func (x *extras) sides(all []contender) []contender {
	if x.disk != nil {
		all = append(all, x.disk.contender(extrasBlock))
	}
	return all
}

func (x *extras) close() error {
	if x.disk == nil {
		return nil
	}
	return x.disk.close()
}
