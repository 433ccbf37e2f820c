package engine

import (
	"github.com/tidemill/tidemill/engine/cron"
	"github.com/tidemill/tidemill/wal"
)

// Stats counts what the engine, above all its disk, has seen since the start. What there is now
// comes first. The names in JSON are those of the admin listener's /stats.
type Stats struct {
	LogBytes  int64 `json:"logBytes"`  // of the log's segments
	LiveBytes int64 `json:"liveBytes"` // of the records in them that still count (W10)
	Segments  int   `json:"segments"`
	Spares    int   `json:"spares"` // segments made ahead, beside LogBytes

	WrittenBytes uint64 `json:"writtenBytes"` // to the log, with headers and padding
	MovedBytes   uint64 `json:"movedBytes"`   // of them, copies made by reclaiming
	IndexBytes   uint64 `json:"indexBytes"`   // written by flushes and compactions of the index
	Reclaimed    uint64 `json:"reclaimedBytes"`
	SparesMade   uint64 `json:"sparesMade"`
	Recycled     uint64 `json:"segmentsRecycled"`
	Removed      uint64 `json:"segmentsRemoved"`
	Records      uint64 `json:"records"`
	Syncs        uint64 `json:"syncs"`
	Stalls       uint64 `json:"stalls"`

	// Messages of all accounts: those that are pending, those that became durable, and what did
	// of them.
	Pending   int64  `json:"messagesPending"`
	Published uint64 `json:"messagesPublished"`
	Delivered uint64 `json:"messagesDelivered"`
	Retries   uint64 `json:"attemptsRetried"`
	Dead      uint64 `json:"messagesDead"`
	Canceled  uint64 `json:"messagesCanceled"`

	Schedules int64  `json:"schedules"`
	Ticks     uint64 `json:"ticksPublished"`
	Missed    uint64 `json:"ticksMissed"` // and not caught up (P28)

	RefusedLate uint64 `json:"refusedLate"` // publishes, while deliveries were late for want of processor
	RefusedLag  uint64 `json:"refusedLag"`  // publishes, while what reads the log lagged: the sum of the next three

	RefusedApplier    uint64 `json:"refusedApplierLag"`    // the index
	RefusedCore       uint64 `json:"refusedCoreLag"`       // the engine's loop
	RefusedCheckpoint uint64 `json:"refusedCheckpointLag"` // the index's durable position

	DeadExpired uint64 `json:"deadLettersExpired"` // deleted for their age (retention.dlq)

	CronFaults uint64 `json:"cronFaults"` // of the evaluation of expressions; anything but 0 is a bug

	// WriteAmplification is what the log wrote for each byte that was no copy.
	WriteAmplification float64 `json:"logWriteAmplification"`
}

// Stats returns the counters, read one by one and not as of one moment.
func (e *Engine) Stats() Stats {
	l, c := e.log.Stats(), &e.core.tally
	s := Stats{
		LogBytes: l.SegmentBytes, LiveBytes: e.applier.a.LiveBytes(), Segments: l.Segments, Spares: l.Spares,
		WrittenBytes: l.WrittenBytes, MovedBytes: uint64(e.reclaimer.moved.Load()), IndexBytes: e.idx.WrittenBytes(),
		Reclaimed: l.Reclaimed, SparesMade: l.SparesMade, Recycled: l.Recycled, Removed: l.Removed,
		Records: l.Records, Syncs: l.Syncs, Stalls: l.Stalls,
		RefusedLate: e.admission.lates.Load(), RefusedLag: e.admission.lagged(),
		RefusedApplier: e.admission.lagging[readerApplier].Load(), RefusedCore: e.admission.lagging[readerCore].Load(),
		RefusedCheckpoint: e.admission.lagging[readerCheckpoint].Load(),
		Pending:           e.applier.a.PendingMessages(),
		Published:         c.published.Load(), Delivered: c.delivered.Load(), Retries: c.retried.Load(), Dead: c.ended.Load(), Canceled: c.canceled.Load(),
		DeadExpired: e.deadExpired.Load(), CronFaults: cron.Faults(),
		Schedules: e.scheduler.schedules.Load(), Ticks: e.scheduler.ticked.Load(), Missed: e.scheduler.missed.Load(),
	}
	s.WriteAmplification = amplification(&l, s.MovedBytes)
	return s
}

func amplification(l *wal.Stats, moved uint64) float64 {
	if l.WrittenBytes <= moved {
		return 1
	}
	return float64(l.WrittenBytes) / float64(l.WrittenBytes-moved)
}
