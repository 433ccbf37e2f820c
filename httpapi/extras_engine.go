package httpapi

import (
	"time"

	"github.com/tidemill/tidemill/engine"
)

// ExtraEngine is the part of Engine behind the routes that the contract does not have
// (EXTENSIONS.md).
type ExtraEngine interface {
	// RunSchedule publishes a schedule's message now and returns when it is on disk.
	RunSchedule(u engine.UserID, id string) (engine.RunReceipt, error)
	// UserHosts returns the destination hosts of an account's own messages in memory.
	UserHosts(u engine.UserID) ([]engine.UserHost, error)
	// AccountStats returns what happened to an account's messages in a time.
	AccountStats(u engine.UserID, from, to time.Time) (*engine.AccountStats, error)
	// StartReplay starts a replay of delivered messages and returns when that is on disk.
	StartReplay(u engine.UserID, r *engine.Replay) (id string, err error)
	Replay(u engine.UserID, id string) (*engine.ReplayInfo, error)
	// Replays returns an account's replays, newest first.
	Replays(u engine.UserID) ([]engine.ReplayInfo, error)
	StopReplay(u engine.UserID, id string) error
}
