package metrics

import (
	"context"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine"
)

const (
	// queuesMax is how many queues of each kind are shown by name, the largest.
	queuesMax = 100

	// loopPatience is how long a scrape waits for the engine's loop: when it hangs, the
	// rest is worth more than all of it later.
	loopPatience = time.Second
)

// engine shows what the engine counts and holds.
func (s sink) engine(e *engine.Engine) {
	tally, stats, health := e.Tally(), e.Stats(), e.Health()
	s.published(&tally)
	s.dead(&tally, &stats, &health)
	s.log(e, &stats)
	number(s, panicMetric, tally.Panics, "attempt")
	number(s, tickMetric, stats.Ticks, "published")
	number(s, tickMetric, stats.Missed, "missed")
	number(s, cronMetric, stats.CronFaults)
	if d, err := e.DiskGauges(); err == nil {
		s.disk(&d)
		s.index(&d, &tally)
	}
	ctx, cancel := context.WithTimeout(context.Background(), loopPatience)
	defer cancel()
	start := time.Now()
	g, err := e.Gauges(ctx, queuesMax)
	s.put(waitMetric, time.Since(start).Seconds())
	if err == nil {
		s.core(g)
		s.queues(g)
	}
	if p, err := e.PullGauges(queuesMax); err == nil {
		s.pulls(&p)
	}
}

func (s sink) published(t *engine.Tally) {
	number(s, publishMetric, t.Accepted, "accepted")
	number(s, publishMetric, t.Duplicates, "duplicate")
	for _, r := range engine.Refusals() {
		number(s, refusedMetric, t.Refused[r], r.String(), r.Class())
	}
	s.spread(stageMetric, t.Append, "append")
	s.spread(stageMetric, t.Durable, "durable")
	number(s, publishedMetric, t.Published)
	number(s, callbackMetric, t.Callbacks)
	number(s, logReadMetric, t.LogReads)
	number(s, outcomeMetric, t.Delivered, "delivered")
	number(s, outcomeMetric, t.Retried, "retried")
	number(s, outcomeMetric, t.Ended, "dead")
	number(s, outcomeMetric, t.Canceled, "canceled")
	s.spread(deliverMetric, t.Permit, "permit")
	s.spread(deliverMetric, t.Flow, "flow")
	for stage := range t.Attempts {
		s.spread(deliverMetric, t.Attempts[stage], engine.AttemptStage(stage).String())
	}
	s.spread(deliverMetric, t.Logged, "outcome")
	s.spread(lateMetric, t.Lateness)
}

func (s sink) dead(t *engine.Tally, stats *engine.Stats, h *engine.Health) {
	for _, r := range engine.DeadReasons() {
		number(s, deadAddedMetric, t.Dead[r], r.String())
	}
	number(s, deadRetriedMetric, t.Redriven)
	number(s, deadExpiredMetric, stats.DeadExpired)
	number(s, rangesMetric, h.DamagedRanges)
	number(s, damagedMetric, h.DamagedMessages)
}

func (s sink) log(e *engine.Engine, l *engine.Stats) {
	number(s, logMetric, l.LogBytes)
	number(s, liveMetric, l.LiveBytes)
	number(s, segmentMetric, l.Segments)
	number(s, spareMetric, l.Spares)
	number(s, recordMetric, l.Records)
	number(s, writtenMetric, l.WrittenBytes)
	number(s, movedMetric, l.MovedBytes)
	number(s, reclaimedMetric, l.Reclaimed)
	number(s, releasedMetric, l.Recycled, "recycled")
	number(s, releasedMetric, l.Removed, "removed")
	number(s, sparesMadeMetric, l.SparesMade)
	s.put(ampMetric, l.WriteAmplification)
	number(s, stallMetric, l.Stalls)
	h := e.LogHistograms()
	s.spread(groupMetric, h.GroupRecords)
	s.spread(groupBytesMetric, h.GroupBytes)
	s.spread(syncMetric, h.Sync)
}

func (s sink) disk(d *engine.DiskGauges) {
	if d.FreeBytes > 0 || d.FloorBytes > 0 {
		number(s, freeMetric, d.FreeBytes)
		number(s, floorMetric, d.FloorBytes)
	}
	s.put(fullMetric, boolean(d.Full))
	s.put(hangMetric, boolean(d.Stalled))
	number(s, pendingMetric, d.Pending)
	if d.DeadKnown {
		number(s, deadMetric, d.DeadLetters)
	}
	number(s, historyMetric, d.HistoryBytes)
	if !d.HistoryOldest.IsZero() {
		number(s, oldestMetric, d.HistoryOldest.Unix())
	}
}

func (s sink) index(d *engine.DiskGauges, t *engine.Tally) {
	x := &d.Index
	number(s, lagMetric, d.ApplierLag)
	number(s, checkpointMetric, d.CheckpointLag)
	s.put(applyMetric, t.Apply.Seconds())
	s.spread(batchMetric, t.Batch)
	number(s, indexMetric, x.DiskBytes)
	number(s, tablesMetric, x.Tables)
	number(s, memtableMetric, x.MemtableBytes)
	number(s, readAmpMetric, x.ReadAmp)
	number(s, debtMetric, x.Debt)
	number(s, cacheMetric, x.CacheBytes)
	number(s, indexWriteMetric, x.WrittenBytes)
	number(s, flushMetric, x.Flushes)
	number(s, compactMetric, x.Compactions)
	number(s, cacheUseMetric, x.CacheHits, "hit")
	number(s, cacheUseMetric, x.CacheMisses, "miss")
}

func (s sink) core(g *engine.Gauges) {
	number(s, flightMetric, g.InFlight-g.InFlightSlow, "quick")
	number(s, flightMetric, g.InFlightSlow, "other")
	number(s, flightMaxMetric, g.InFlightMax)
	number(s, youngMetric, g.Young)
	number(s, youngMaxMetric, g.YoungMax)
	number(s, undurableMetric, g.Undurable)
	number(s, undurableBMetric, g.UndurableBytes)
	number(s, heldMetric, g.Held)
	number(s, hostMetric, g.Hosts-g.HostsFailing-g.HostsHalfOpen, "healthy")
	number(s, hostMetric, g.HostsFailing, "failing")
	number(s, hostMetric, g.HostsHalfOpen, "half_open")
	number(s, parkedMetric, g.WaitingAtHosts, "host")
	number(s, parkedMetric, g.WaitingAtKeys, "key")
	number(s, residentMetric, g.Resident)
	number(s, residentMaxMetric, g.ResidentMax)
	number(s, retiringMetric, g.Retiring)
	number(s, laneMetric, g.Lanes-g.SpilledLanes, "resident")
	number(s, laneMetric, g.SpilledLanes, "spilled")
	number(s, pageMetric, g.PagesInFlight)
	number(s, timerMetric, g.Wheel.Armed)
	number(s, expiredMetric, g.Wheel.Expired)
	number(s, movedTimerMetric, g.Wheel.Moved)
	s.put(horizonMetric, engine.Horizon.Seconds())
	number(s, coreLagMetric, g.CoreLag)
	number(s, scheduleMetric, g.Schedules)
	number(s, flowKeyMetric, g.FlowKeys)
	number(s, flowMsgMetric, g.FlowMessages)
}

func (s sink) queues(g *engine.Gauges) {
	number(s, queuesMetric, g.QueueCount)
	for i := range g.Queues {
		q := &g.Queues[i]
		account := accountLabel(q.User)
		number(s, queueMetric, q.Messages, account, q.Name)
		number(s, turnsMetric, q.Slots, account, q.Name)
		s.put(pausedMetric, boolean(q.Paused), account, q.Name)
	}
	number(s, queueMetric, g.QueuesRest.Messages, "", "")
	number(s, turnsMetric, g.QueuesRest.Slots, "", "")
}

func (s sink) pulls(p *engine.PullGauges) {
	number(s, pullsMetric, p.Count)
	now := time.Now()
	for i := range p.Queues {
		q := &p.Queues[i]
		account := accountLabel(q.User)
		s.pullStates(q, account)
		age := 0.0
		if !q.Oldest.IsZero() {
			age = max(now.Sub(q.Oldest).Seconds(), 0)
		}
		if q.Looked {
			s.put(pullAgeMetric, age, account, q.Name)
		}
		s.put(pullPausedMetric, boolean(q.Paused), account, q.Name)
		number(s, pullCounterMetric, q.Published, account, q.Name, "published")
		number(s, pullCounterMetric, q.Delivered, account, q.Name, "delivered")
		number(s, pullCounterMetric, q.Retried, account, q.Name, "retried")
		number(s, pullCounterMetric, q.DeadLettered, account, q.Name, "dead_lettered")
		number(s, pullCounterMetric, q.Deferred, account, q.Name, "deferred")
		number(s, pullCounterMetric, q.Expired, account, q.Name, "expired")
	}
	s.pullStates(&p.Rest, "")
}

func (s sink) pullStates(q *engine.PullGauge, account string) {
	number(s, pullMetric, q.Pending, account, q.Name, "pending")
	number(s, pullMetric, q.InFlight, account, q.Name, "in_flight")
	number(s, pullMetric, q.Delayed, account, q.Name, "delayed")
}

// accountLabel is an account's number, which is no secret: its name may be a mail address.
func accountLabel(u engine.UserID) string { return strconv.FormatUint(uint64(u), 10) }
