// Package wal is a segmented append-only log of byte records with group commit,
// checksums, recovery, and reading by address. It knows nothing of what the
// records mean.
//
//	l, err := wal.Open(wal.Options{Dir: dir, OnCommit: apply})
//	err = l.Replay(from, replay)          // what the index has not got
//	t, err := l.Reserve(len(p), wal.Producer) // an address, without I/O
//	copy(t.Buf, p)
//	l.Done(&t)
//	err = l.Wait(&t)                      // nil: it survives a power cut
//
// # What is durable when
//
// When Wait returns nil, the record and all before it are on disk: written and
// synced with fdatasync (with Options.SyncInterval set: written). OnCommit is
// called for durable groups only, in log order, before their waiters wake. The
// rules cited as W1 to W11 are those of DESIGN.md.
//
// # Files
//
// The directory holds segments, named by their first address, and spares:
//
//	00000000004294967296.seg    segment 1, from address 1<<32
//	00000000008589934592.seg    segment 2, from address 2<<32
//	2.spare                     of full size and synced, waiting to become segment 3
//	3.part.spare                in the making; a leftover is removed
//
// FORMAT.md describes their bytes.
//
// # Space
//
// Space comes back from the oldest end. Whoever knows what the records mean copies
// those still needed to the head (ReadSegment, Reserve with Reclaiming), makes sure
// that nothing else leans on the old ones, and raises the floor (SetFloor). The next
// segment's header says so, and then the files below become spares, or are removed.
// Pin holds them for a backup.
//
// Of the spares some are kept back for a full disk (Options.Reserve): there,
// producers are refused with ErrNoSpace while outcomes and reclaiming go on (Class,
// Full). It passes by itself when there is room.
//
// # While the disk hangs
//
// When a write or sync has not returned for Options.StallAfter, waiters get
// ErrStalled and Reserve refuses records that somebody would wait for. It is not
// final: when the disk answers, what was reserved is committed in order and the
// log goes on. A record whose Wait failed so may become durable.
//
// # After an error
//
// The first failed write or sync is final (W8): what the kernel says about those
// bytes afterwards proves nothing. Waiters get ErrPoisoned, OnPoison is called,
// nothing is acknowledged any more; reading goes on. The process is expected to
// exit and to recover from what is on disk.
package wal
