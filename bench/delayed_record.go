package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// openSink opens the receiver, which records if it is to: then each rate is a lane, and the
// promise of a message says when it is due. The caller closes it.
func (d *delayed) openSink() (err error) {
	if d.o.Record == nil {
		d.sink, err = openSink(d.o.Hosts, len(d.o.Rates)+1, d.bodies)
		return err
	}
	if d.rec, err = newRecorder(d.o.Record); err != nil {
		return err
	}
	lanes := make([]lane, len(d.o.Rates))
	for i, rate := range d.o.Rates {
		lanes[i] = lane{kind: lanePlain, name: fmt.Sprintf("%d/s", rate)}
	}
	if d.witness, err = openWitness(d.o.Hosts, lanes, 1, d.bodies, d.rec); err != nil {
		return err
	}
	d.sink = d.witness.sink
	return nil
}

// closeSink closes it, and ends the recording.
func (d *delayed) closeSink() error {
	err := d.sink.close()
	if d.rec != nil {
		err = errors.Join(err, d.rec.close())
	}
	return err
}

// promised notes a publish that was sent at a time, if it is recorded and none of the
// background's.
func (d *delayed) promised(id, seq uint64, sent, due time.Duration, err error) {
	if d.rec == nil || id == uint64(len(d.o.Rates)) {
		return
	}
	p := promise{seq: seq, sent: sent, due: due}
	if err == nil {
		p.acked = d.sink.clock()
	}
	d.rec.published(id, p)
}

// verify writes a round's recording, in which everything has arrived, and checks it.
func (d *delayed) verify(ctx context.Context) error {
	if d.rec == nil {
		return nil
	}
	for d.witness.open.Load() > 0 {
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	round, err := d.rec.cut()
	if err != nil {
		return err
	}
	_, err = VerifyRecording(round, VerifyOptions{Duplicates: true})
	return err
}
