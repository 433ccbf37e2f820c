package httpapi

import "github.com/tidemill/tidemill/engine"

// LineEngine is the part of Engine that is about queues, URL groups and flow control.
type LineEngine interface {
	// PublishGroup publishes to all endpoints of p.Group, or to none, and returns when
	// that is on disk.
	PublishGroup(p *engine.Publish) ([]engine.MemberReceipt, error)
	// SetQueue makes a queue or changes one; DeleteQueue drops its messages too. Both
	// return when that is on disk, as all that follow here do that change something.
	SetQueue(u engine.UserID, name string, c engine.QueueChange) error
	DeleteQueue(u engine.UserID, name string) error
	Queue(u engine.UserID, name string) (*engine.QueueInfo, error)
	Queues(u engine.UserID) ([]engine.QueueInfo, error)
	Group(u engine.UserID, name string) (*engine.GroupInfo, error)
	Groups(u engine.UserID) ([]engine.GroupInfo, error)
	AddEndpoints(u engine.UserID, name string, es []engine.Endpoint) error
	RemoveEndpoints(u engine.UserID, name string, es []engine.Endpoint) error
	SetGroupHeader(u engine.UserID, name string, hs []engine.Header) error
	DeleteGroup(u engine.UserID, name string) error
	Flow(u engine.UserID, key string) (*engine.FlowInfo, error)
	// Flows returns the keys that contain search.
	Flows(u engine.UserID, search string) ([]engine.FlowInfo, error)
	PauseFlow(u engine.UserID, key string) error
	ResumeFlow(u engine.UserID, key string) error
	PinFlow(u engine.UserID, key string, p engine.FlowPin) error
	UnpinFlow(u engine.UserID, key string, parallelism, rate bool) error
	// ResetFlow ends a key's period, and with parallelism forgets what is in flight.
	ResetFlow(u engine.UserID, key string, parallelism bool) error
	GlobalParallelism() (most, count int)
}
