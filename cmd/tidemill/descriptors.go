package main

import (
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/limits"
)

// shareOut applies the limit of the process to the configuration, and says so where it
// has less than was asked for.
func (s *server) shareOut() (err error) {
	limit := limits.OpenFiles()
	if s.descriptors, err = limits.ShareDescriptors(limit, s.cfg.Parallelism); err != nil {
		return exit.With(exit.Config, err)
	}
	if got := s.descriptors.Attempts; got < s.cfg.Parallelism {
		s.log.Warn("the limit of open files leaves fewer attempts at one time than delivery.parallelism: raise it (ulimit -n, LimitNOFILE=)",
			"limit", limit, "attempts", got, "delivery.parallelism", s.cfg.Parallelism, "connections", s.descriptors.Clients)
		s.cfg.Parallelism = got
		s.cfg.HostParallelism = min(s.cfg.HostParallelism, got)
	}
	return nil
}
