//go:build !race

package wal

// raceEnabled thins out the exhaustive tests.
const raceEnabled = false
