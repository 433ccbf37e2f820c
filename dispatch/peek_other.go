//go:build !unix

package dispatch

// peekQuiet cannot look without reading here, so a kept connection is taken to be
// open; the re-dial of exchange.roundTrip covers those that are not.
func peekQuiet(uintptr) bool { return true }
