package bench

import (
	"errors"
	"fmt"
	"time"
)

// PeersOptions are the options of Peers. Of Common, Concurrency is that of publishing, and a
// round lasts 600ms by default.
type PeersOptions struct {
	Common

	// Peers names those to measure. Default: all that are installed.
	Peers []string

	// DataParent is where the peers' data directories are made; they are removed
	// afterwards. Default: the working directory, as in Reexec.
	DataParent string

	// Delivering is the number of producers from end to end. Default: 64.
	Delivering int

	// Hosts, Backlog and DrainTimeout are as in DeliverOptions.
	Hosts        int
	Backlog      int
	DrainTimeout time.Duration
}

func (o PeersOptions) withDefaults() PeersOptions {
	orDefault(&o.Round, 600*time.Millisecond)
	orDefault(&o.DataParent, ".")
	orDefault(&o.Delivering, 64)
	orDefault(&o.Hosts, 32)
	orDefault(&o.DrainTimeout, 30*time.Second)
	o.Common.withDefaults(64, 256)
	return o
}

func (o PeersOptions) validate() error {
	switch {
	case o.BodyBytes%4 != 0 || o.BodyBytes < 2*stampBytes || o.BodyBytes > peerBodyMax:
		return fmt.Errorf("bodies of %d bytes: want a multiple of 4, %d bytes to %d", o.BodyBytes, 2*stampBytes, peerBodyMax)
	case o.Delivering < 1 || o.Delivering > 10_000:
		return fmt.Errorf("%d producers from end to end: want 1 to 10000", o.Delivering)
	case o.Hosts < 1 || o.Hosts > 250:
		return fmt.Errorf("%d hosts: want 1 to 250", o.Hosts)
	case o.Backlog < 0 || o.DrainTimeout < 0:
		return errors.New("backlog and drain timeout must not be negative")
	}
	return o.Common.validate()
}

// deliver is what Deliver would be told.
func (o *PeersOptions) deliver() *DeliverOptions {
	return &DeliverOptions{Common: o.Common, Hosts: o.Hosts, Backlog: o.Backlog, DrainTimeout: o.DrainTimeout}
}

// connections is the most that a peer is asked to hold, the harness's own included.
func (o *PeersOptions) connections() int {
	most := max(o.Delivering, relayWorkers)
	for _, c := range o.Concurrency {
		most = max(most, c)
	}
	return 2*most + 16
}
