package index

import "github.com/tidemill/tidemill/engine/record"

func jobKey(dst []byte, user uint32, id uint64) []byte {
	return be.AppendUint64(be.AppendUint32(append(dst[:0], kindJob), user), id)
}

// job applies the newest state of a job: its row is where that stands, and the record.
// Like accounts, jobs are few and left out of the counts of live bytes.
func (a *Applier) job(lsn uint64, p []byte) error {
	var j record.Job
	if err := record.DecodeJob(p, &j); err != nil {
		return err
	}
	a.key = jobKey(a.key, j.User, j.ID)
	if j.State == record.JobGone {
		return a.batch.Delete(a.key, nil)
	}
	a.val = append(be.AppendUint64(a.val[:0], lsn), p...)
	return a.batch.Set(a.key, a.val, nil)
}

// Jobs calls fn with the record of every job, and where it stands; p is valid during the
// call.
func (x *Index) Jobs(fn func(pos uint64, p []byte) error) error {
	return x.scan([]byte{kindJob}, []byte{kindJob + 1}, func(k, v []byte) error {
		if len(k) != 13 || len(v) < 8 {
			return errBadValue
		}
		return fn(be.Uint64(v), v[8:])
	})
}
