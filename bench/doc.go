// Package bench is the load harness: producers, sinks, reference servers and
// reports. It talks to the server over HTTP only and imports nothing of it.
//
//	tidemill bench publish   durable acked publishes, over a bare fasthttp echo
//	tidemill bench deliver   publish to delivery, over a memory-only fasthttp relay
//	                         and over a bare fasthttp client loop to the same sink
//	tidemill bench batch     messages in batches, over single publishes
//	tidemill bench delayed   due time to arrival, at fixed rates
//	tidemill bench herd      many messages that fall due at one moment
//	tidemill bench retries   an outage of many hosts and the storm after it
//	tidemill bench cron      how late the ticks of many schedules are
//	tidemill bench isolation a healthy host among dead, silent and slow ones
//	tidemill bench overload  more publishes than the server can deliver
//	tidemill bench pull      receive and ack in batches of 100, over a bare fasthttp echo
//	tidemill bench peers     Redis, Quirrel, NATS and Postgres, where they are installed
//	tidemill bench queues    many FIFO queues, over deliveries without a queue
//	tidemill bench flow      how exactly flow-control keys are kept, and what they cost
//	tidemill bench fanout    a URL group's deliveries, over those of single publishes
//	tidemill bench hostile   healthy hosts among a share of bad ones
//	tidemill bench fair      a tenant's first message behind another's backlog
//	tidemill bench verify    recordings of queues, flow and fanout, once more
//	tidemill bench single    one producer's acks, over a sync of the disk and an exchange
//	tidemill bench backlog   what waiting messages cost: memory, disk, CPU of the others
//	tidemill bench restart   SIGKILL under load to the first delivery
//	tidemill bench soak      a mixed load, and what the server holds meanwhile
//	tidemill bench ceilings  disk, checksums and HTTP of this machine, without a server
//
// tidemill bench --help has the commands that yield the rows of PERFORMANCE.md; make bench-full
// runs them all.
//
// # What a number means
//
// Machines share their cores and a rate swings twofold between minutes, so a rate
// alone says little. All sides of a comparison run in one run, in alternating
// rounds whose order rotates; a ratio is taken per round, and its median, minimum
// and maximum are reported (PERFORMANCE.md §4). CPU time per message of the server
// process stands beside each rate: it is what neighbours disturb least.
//
// Producers of publish, deliver and batch are closed-loop: each has one connection and one
// request in flight. That finds the peak rate. It hides stalls from the percentiles
// (coordinated omission), so p50 and p99 here are those of a saturated server, and not what
// a client sees at a fixed rate.
//
// With --rate they keep a rate on a bounded number of connections (open loop), and latencies
// count from the moment at which each message was to be sent. All that keeps a rate does so
// by one clock, the pacer: it tells how late messages left and how much of that was the
// harness's own. A round in which the rate was not kept, or in which the harness was late
// for a good part of p99, has no percentiles: they would not be the server's. Delayed counts
// from the due time, isolation has rounds of both kinds, and overload says what was offered
// and counts from the sending.
//
// Bodies are 1 KiB by default and do not compress, so that no side gains by
// storing less than it was given.
//
// The reference servers run in processes of their own, as the server does (Spawn);
// producers and the counting sink run in the harness. The few publishes beside a herd have a
// process, too, since the sink's goroutines would hold them up.
//
// Peers are other people's programs. They are started here too, each so that what it
// acknowledges is synced, and spoken to in their own protocols by the same producers;
// where they do not push, a process of ours does (bridge.go), and its CPU time counts.
//
// # Reports
//
// A Report says where it was made (Machine, Setting), what each process cost (Side.CPU of
// the server's, Side.Harness of this one) and every round. It is written as a table, as JSON,
// as lines for benchstat, as one HTML page with plots and as an SVG chart of the ratios.
// JSON is what is kept: ReadReports reads it, and Compare judges two of them by the ranks of
// their rounds. While a run lasts, Common.Progress tells how far it is.
//
// # Losing nothing
//
// Each body carries a sequence number. Deliver checks every body that arrives byte
// for byte, counts duplicates, and after each round waits for all acknowledged
// messages: one that is missing fails the run with ErrLost. Isolation and hostile
// revive their bad hosts for that, so that what they missed can arrive. In overload a message
// that was refused and arrives is an error as well. What batch stores it looks up in part.
// In queues, flow and fanout the receiver records each attempt (RECORDING.md), and order,
// limits and copies are checked after each round.
//
// What is not due in a run cannot arrive: restart and backlog ask the server for a sample
// of it, and for the number of messages that wait where an admin listener tells that.
//
// In pull the consumers check what they receive in the same way, and what was
// acknowledged must not come again.
//
// Every run ends by itself: rounds have a length, requests and the wait for the
// last deliveries have timeouts, and cancelling the context ends all of it.
package bench
