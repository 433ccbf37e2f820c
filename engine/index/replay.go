package index

// replaySublevels is how many tables a read may find one over the other during a replay,
// before compactions no longer wait for its end (compactions). Pebble takes no more writes
// at L0StopWritesThreshold.
const replaySublevels = 8

// Begin says that the log is replayed, and where it begins. It is called once, before the
// first Record. A rebuild that was killed on its way goes on as one: what it is about is in
// the index, since its first batch.
func (a *Applier) Begin(first uint64) error {
	a.x.compactions.held.Store(true)
	if a.x.start.LSN == 0 {
		a.first = first
		return a.batch.Set([]byte{kindRebuild}, be.AppendUint64(nil, first), nil)
	}
	_, err := get(a.x.db, []byte{kindRebuild}, func(v []byte) error {
		if len(v) != 8 {
			return errBadValue
		}
		a.first = be.Uint64(v)
		return nil
	})
	return err
}

// Replayed says that the log was replayed to its end: every move of what was published
// below its beginning was seen.
func (a *Applier) Replayed() error {
	a.x.compactions.release()
	if !a.rebuilding() {
		return nil
	}
	a.first = 0
	a.settleQueues()
	a.settlePulls()
	return a.batch.Delete([]byte{kindRebuild}, nil)
}

// holdCompactions has compactions begin during a replay when too many tables lie over one
// another.
func (a *Applier) holdCompactions() {
	if a.x.compactions.held.Load() && a.x.db.Metrics().Levels[0].Sublevels >= replaySublevels {
		a.x.compactions.release()
	}
}

func (a *Applier) rebuilding() bool { return a.first > 0 }

// readable says whether the log still held an address when the index was opened
// empty.
func (a *Applier) readable(lsn uint64) bool { return lsn >= a.first }
