// Package index is the engine's view of the log in Pebble: which messages are
// pending and when, which are dead letters, which ids were seen, what is scheduled.
// It decides nothing and is rebuilt from the log when it is lost.
//
// # Writing
//
// One applier (an Applier, one owner) is handed the committed groups of the log
// in order and turns them into blind batches: it reads nothing back (X1), every
// record carries the keys its rows need. Each batch also writes the position it
// reached, a group boundary, with the log's identity and the chained checksum
// there. Pebble's own WAL is off; after a crash it holds the state of some
// batch exactly, and replay of the log starts at the position found there.
//
// A message that is published and ended within one batch leaves no pending rows
// at all, and one history row (X3). The longer a batch, the more do: its owner ends it when
// a read waits, and has to when it is Full, which bounds its memory. The rows of the kinds
// that every message has enter Pebble in the order of their keys (run.go).
//
// # Keys
//
// All integers are big-endian, so that keys sort by value.
//
//	key                                   value                    what it is
//	'D' id:8 due:8 seq:8                  row                      a message with a group in a pull queue, by when it is due
//	'P' id:8                              pull row, the record     a pull queue: its definition, its messages and counters
//	'a'                                   layout, log, lsn, chain  the position applied
//	'c' user:4 id                         schedule row, error      a schedule, as its definition says
//	'd' bucket:8 user:4 hash:16           seq, nonce, at, what     a deduplication id seen (X6)
//	'e' day:4 seq:8 lsn:8                 nothing                  where a later history row of a message is (X6)
//	'f' user:4 key                        flow row                 a flow-control key: its limits and its messages
//	'g' user:4 name                       lsn, the record          a URL group, as its definition says
//	'h' lsn:8                             history row              what happened there to a message (X6)
//	'j' user:4 id:8                       lsn, the record          a replay of delivered messages
//	'k' user:4 id                         ticks, error             how far a schedule has come since its definition (T3)
//	'l' lane:8                            count, first, queue, flow a lane's summary (X4)
//	'm' seq:8                             row                      a pending message, by number
//	'n'                                   lsn, the record          the newest deletion of an account
//	'o' user:4 id:8                       lsn, the record          a token of an account
//	'p' lane:8 order:8 seq:8              row                      the same, in delivery order (X4)
//	'q' user:4 lsn:8                      dead row                 a dead letter, by its outcome's LSN
//	'r'                                   first lsn                where the log began, while the index is rebuilt
//	's' segment:8                         bytes                    how much of a segment of the log still counts (W10)
//	't' second:8                          lsn                      where the history of a second begins (X6)
//	'u' user:4                            the record               an account
//	'w' user:4 name                       queue row                a queue: its definition and its messages
//	'x' place:8                           user, lsn                the dead letter whose message stands there (W10)
//	'z' ...                               counts                   what was counted of accounts (stats.go)
//
// A pending row never moves when its message falls due; a retry replaces it. Its order
// is when it is due or, in a queue, the seq of the message whose turn it is: there a
// retry leaves it where it is.
//
// Several messages may share a record: the members of a fan-out, or an outcome's
// callbacks. Each has a seq of its own, the record's address plus a little, and a share
// of the record's bytes; a row finds its message in the record by the nonce. Until it is
// copied, a dead letter's place is its seq.
//
// What an account has under a name ends its key with it, so that all of one kind and
// account lie together, in the order of names.
//
// # What is lost with the index
//
// Everything is rebuilt from the log but for history, statistics, and deduplication ids,
// of what the log no longer holds. A history row keeps states, times, status, destination and
// caller; headers and bodies, of message and response, are read from the log and gone
// when it has reclaimed them. The row of a message's later state names its host only:
// its destination is in the message's first row, which retention may take first, or
// in its record.
//
// # Reading
//
// Reads are safe concurrently with the applier. A caller that must see its own
// write waits until Applied has passed that write's LSN (X5).
package index
