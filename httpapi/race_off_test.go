//go:build !race

package httpapi

const malformedEach = 1
