// Package timerwheel is a hierarchical timing wheel (Varghese and Lauck, 1987)
// as plain data: time goes in as an argument, due values come out. It starts no
// goroutine and reads no clock, so the same calls always give the same answers
// (DESIGN.md, rule T1).
//
//	w := timerwheel.New(now)
//	h := w.Add(now+250, messageNumber)
//	w.Cancel(h)
//	due, ok := w.Next()             // sleep until then
//	expired = w.Advance(now, expired[:0])
//
// The unit of time is the caller's tick; the engine uses one millisecond.
//
// # Shape
//
// Ticks are grouped into windows of 1,024. Timers live in one of two places:
//
//   - the near ring has one slot per tick for the four windows (4,096 ticks,
//     about four seconds) from the current tick on;
//   - above it nine levels of 64 slots each hold whole windows: a slot of level
//     0 is one window, of level 1 it is 64 windows, of level k it is 64^k. The
//     ring and two levels span 70 minutes; the levels above are where later
//     timers are parked. Nine levels cover every int64, so there is no overflow
//     list and no due that is too far away.
//
// A timer is placed by the highest group of six bits in which its window differs
// from the load position, which is always a window boundary at most four windows
// ahead of the current tick: what lies before it is in the ring, the rest is in
// the levels. Moving the load position over a slot empties that slot into the
// finer levels or into the ring (a cascade).
//
// # Cascading in small steps
//
// A naive wheel empties a coarse slot in the very tick that enters it: with ten
// million timers in an hour that tick lasts 102 ms (PERFORMANCE.md, lesson 12).
// Here the load position runs ahead of the current tick, a cascade can stop after
// any timer and go on in the next call, and each call moves a bounded number of
// timers ahead of time. Timers added for a slot that is half moved join its tail,
// so timers of one tick leave in the order in which they came, whatever was
// interrupted.
//
// # Memory
//
// A timer takes 32 bytes in slabs that hold no pointers, so the garbage collector
// never walks them. Slabs are reused and never given back: the wheel keeps the
// memory of its largest population. Nothing is allocated once it has been reached.
package timerwheel
