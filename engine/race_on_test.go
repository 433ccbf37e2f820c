//go:build race

package engine

import "time"

// Under the race detector everything takes ten times as long.
const (
	simSeeds        = 5
	backlogMessages = 1000
	hungryLanes     = 500
	backups         = 3
	retryDays       = 3
	everySecondFor  = 2 * time.Minute
	clockStepsTried = 1000
	delayedDefault  = 300
	horizonMessages = 100
	cancelRaceSeeds = 2
)
