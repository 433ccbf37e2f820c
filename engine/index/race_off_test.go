//go:build !race

package index

// cutSeeds is how many histories of ten power cuts TestPowerCuts runs.
const cutSeeds = 100

// consumed is how many messages of a lane TestRestartStartsBehindTheConsumed ends.
const consumed = 200_000
