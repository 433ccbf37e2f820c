package httpapi

import "github.com/tidemill/tidemill/engine"

// matchPull finds the routes of the JSON queue API (QUEUES.md A.4), which shares /v1 with
// the first API. family is the segment after /v1, in lower case, rest what follows it.
// What is not mine belongs to the first API.
func matchPull(_, _ string, _ []byte) (r *route, arg []byte, fail *failure, mine bool) {
	return nil, nil, nil, false
}

// pullMessage answers with the message of a pull queue that x.arg names, or fails with
// engine.ErrNotFound.
func (x *exchange) pullMessage() error { return engine.ErrNotFound }

// deletePullMessage removes the message of a pull queue that x.arg names, or fails with
// engine.ErrNotFound.
func (x *exchange) deletePullMessage() error { return engine.ErrNotFound }
