// Package delay holds the rules by which a wait is worked out: the duration
// grammar of the request headers, the Upstash-Retry-Delay expression, the default
// backoff, and what a failed response asks for.
//
//	d, err := delay.ParseDuration("1d10h30m")      // Upstash-Delay, Upstash-Timeout
//	e, err := delay.Parse("pow(2, retried) * 1000") // Upstash-Retry-Delay
//	wait, ok := delay.FromResponse(header, now)     // the destination decides,
//	if !ok { wait = e.Delay(retried) }              // else the message,
//	                                                // else delay.Default(retry)
//
// Nothing here keeps state or reads a clock; all of it may be used concurrently.
// Errors say what is wrong, where, and what would be right; the caller puts the
// name of the field before them.
package delay

import "time"

// Max is the longest wait before a retry: one day (QSTASH.md §3.5, §5.3, §5.4).
const Max = 24 * time.Hour
