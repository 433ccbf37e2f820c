//go:build race

package cron

// raceEnabled shortens what takes ten times as long under the race detector.
const raceEnabled = true
