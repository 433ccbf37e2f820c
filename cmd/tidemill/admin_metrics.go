package main

import (
	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/httpapi"
)

// measure makes /metrics tell of the engine and of its attempts.
func (a *admin) measure(e *engine.Engine, c *dispatch.Client) {
	if a != nil {
		a.metrics.Watch(e, c)
	}
}

// measureAPI makes /metrics tell of the API.
func (a *admin) measureAPI(s *httpapi.Server) {
	if a != nil {
		a.metrics.WatchAPI(s)
	}
}
