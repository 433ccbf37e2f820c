package httpapi

import (
	"time"

	"github.com/tidemill/tidemill/engine"
)

// LegacyEngine is the part of Engine that only the first API needs (QSTASH.md §12.1).
type LegacyEngine interface {
	// GroupCreated returns the URL group that was created at this time; no two are.
	GroupCreated(u engine.UserID, at time.Time) (*engine.GroupInfo, error)
	// RenameGroup gives a URL group a name that no other one has.
	RenameGroup(u engine.UserID, old, name string) error
	// RemoveEndpoint removes an endpoint; the group stays, even without any.
	RemoveEndpoint(u engine.UserID, name, url string) error
	// Siblings returns the ids of all messages of the publish whose first message is id.
	// It fails with ErrNotFound when none of them is pending.
	Siblings(u engine.UserID, id string) ([]string, error)
}
