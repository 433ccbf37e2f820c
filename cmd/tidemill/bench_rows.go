package main

// benchRows are the commands that yield the rows of PERFORMANCE.md: at least five interleaved
// rounds, but for what is a state and not a rate. TestBenchRows reads them.
const benchRows = `Each scenario says in its help what it measures, ends by itself and fails when anything that
was acknowledged is lost. The rows of PERFORMANCE.md, and how long each takes:

   1, 2, 16, 19  publish --rounds 7 --settle 45s --runtime                  2 min
   3             single --rounds 9                                          1 min
   4             batch --rounds 7                                           1 min
   5, 6, 10, 16  deliver --rounds 7 --settle 45s --runtime --ceilings       3 min
   7, 8, 9       peers                                                      4 min
   11            delayed --rate 100 --rounds 5                              3 min
   11            delayed --rate 100 --rounds 5 --background half            3 min
   12            herd --messages 1000000 --rounds 5                         7 min
   13, 14, 17    backlog --pending 1000,1000000 --drain                     5 min
   15            restart --pending 1000,1000000 --rounds 5                  5 min
   16            deliver --later 0.5 --rounds 5 --round 10s --settle 45s    3 min
   18            hostile --rounds 5                                         2 min
   20            fair --answer 10ms --rounds 5                              4 min
   22            deliver --rate 100 --rounds 5 --round 10s                  2 min
   22            deliver --rate half                                        1 min

Row 21 is of the engine: make bench-history. make bench runs the short ones, make bench-full all
of them, and bench report draws what they leave.`
