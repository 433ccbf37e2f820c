//go:build race

package index

// Under the race detector everything takes ten times as long.
const (
	cutSeeds = 12
	consumed = 40_000
)
