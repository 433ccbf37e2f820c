package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

// benchExtras are flags of publish and deliver.
type benchExtras struct {
	ceilings bool
}

func (x *benchExtras) bind(c *cobra.Command, o *bench.Common) {
	bindAdminURL(c, o)
	f := c.Flags()
	f.BoolVar(&o.Runtime, "runtime", false, "tell of the server's heap allocations and its garbage collector, by its admin listener")
	f.Var((*config.DurationValue)(&o.Settle), "settle", "before the first round, wait that long at most for a server that has just started to have written what it prepares, half a GiB (default: not at all)")
	f.BoolVar(&x.ceilings, "ceilings", false, "measure the disk beside it, one writer that makes blocks of 16 KiB durable; deliver: and a bare HTTP echo")
}

// apply follows benchFlags.apply.
func (x *benchExtras) apply(b *benchFlags, o *bench.Common) {
	if o.Disk = ""; x.ceilings {
		o.Disk = "."
		if b.data != "" {
			o.Disk = b.data
		}
	}
}
