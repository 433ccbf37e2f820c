//go:build !race

package engine

import "time"

// simSeeds is how many seeds a plain run simulates.
const simSeeds = 80

// backlogMessages is how many messages TestBacklogBeyondMemory leaves to the index.
const backlogMessages = 5000

// hungryLanes is how many lanes TestHungryLanesWithoutRoom makes.
const hungryLanes = 2000

// backups is how many backups TestBackupUnderLoad takes.
const backups = 8

// clockStepsTried is how often TestRandomClockSteps steps the clock.
const clockStepsTried = 10_000

// horizonMessages is how many messages TestHorizon takes for a pattern; one that takes
// more than twenty times as many is left out.
const horizonMessages = 400

// delayedDefault is how many messages TestDelayedMessages publishes.
const delayedDefault = 10_000

// retryDays is how many retries TestRetryTimes waits for: the fifth comes after a day.
const retryDays = 6

// everySecondFor is how long TestSimulationEverySecond goes on by its own clock.
const everySecondFor = 20 * time.Minute

// cancelRaceSeeds is how many times 500 races TestCancelRaces runs.
const cancelRaceSeeds = 20
