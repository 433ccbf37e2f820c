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
//
// # Measured
//
// One run of `make bench-wheel` on two cores of a shared virtual machine; single
// figures swing by a third between runs. ns for an add and for a cancel of a random
// timer with an add, the clock read for each; CPU ns of the process for an expiry,
// 50 each millisecond, mostly the wake-up; live heap bytes for each timer that waits.
//
//	timers        wheel          container/heap   RussellLuo/timingwheel   Go's timers
//	add
//	  1 k         58             98               203                      217
//	  100 k       56             111              248                      283
//	  10 M        54             128              212                      405
//	cancel, add
//	  1 k         81             134              204                      299
//	  100 k       256            688              1002                     918
//	  10 M        538            1508             1246                     912
//	expire
//	  1 k         1408           2114             3699                     3609
//	  100 k       1224           2815             3684                     4044
//	  10 M        1140           2962             3751                     2379
//	memory
//	  1 k         172            32               341                      128
//	  100 k       33             34               83                       112
//	  10 M        32             32               80                       131
//
// An empty wheel is 170 KB, which is what the 172 are. With ten million timers spread
// over an hour a tick takes 2 us, the longest of 400,000 took 0.3 ms in the calmest of
// five runs, and 0.5 to 4 ms in the others, where 0 to 2 ticks were interrupted for
// more than a millisecond. A tick moves 512 timers at most (TestNoTickIsBehind).
package timerwheel
