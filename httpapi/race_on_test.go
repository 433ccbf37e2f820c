//go:build race

package httpapi

// malformedEach: under the race detector, where each request takes ten times as long, one
// of so many malformed ones is sent.
const malformedEach = 8
