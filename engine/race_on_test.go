//go:build race

package engine

// Under the race detector everything takes ten times as long.
const (
	simSeeds        = 8
	backlogMessages = 1000
	hungryLanes     = 500
)
