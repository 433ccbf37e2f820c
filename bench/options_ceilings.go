package bench

import (
	"fmt"
	"time"
)

// CeilingsOptions are the options of Ceilings. Of Common, Server is not used, and
// Concurrency is 64 and 256 by default.
type CeilingsOptions struct {
	Common

	// Dir is a directory on the disk to be measured. Default: the working directory.
	Dir string

	// Hosts is as in DeliverOptions. Default: 32.
	Hosts int
}

func (o CeilingsOptions) withDefaults() CeilingsOptions {
	orDefault(&o.Dir, ".")
	orDefault(&o.Hosts, 32)
	o.Common.withDefaults(64, 256)
	return o
}

func (o CeilingsOptions) validate() error {
	if o.Hosts < 1 || o.Hosts > 250 {
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	}
	return o.Common.validate()
}

// SingleOptions are the options of Single. Of Common, Concurrency is not used, and a round
// lasts a second by default.
type SingleOptions struct {
	PublishOptions

	// Dir is a directory on the server's disk. Default: the working directory.
	Dir string
}

func (o SingleOptions) withDefaults() SingleOptions {
	o.Concurrency = []int{1}
	orDefault(&o.Round, time.Second)
	orDefault(&o.Dir, ".")
	o.PublishOptions = o.PublishOptions.withDefaults()
	return o
}
