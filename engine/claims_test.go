package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestClaimEndsBatch: who wants a dead letter that reclaiming has copied waits for the index
// to apply the copy, and not for the age of the batch that this is in; nor for another
// batch, if that one ended before reclaiming said that it was done.
func TestClaimEndsBatch(t *testing.T) {
	for _, c := range []struct {
		name    string
		applied bool // before the claim is done
	}{{"done first", false}, {"applied first", true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := open(t, testOptions(powerfs.New(), newFakeWire()))
				time.Sleep(2 * batchDelay) // no batch is open
				k := claim{1, 1}
				if !e.claims.takeToMove(k) {
					t.Fatal("not claimed")
				}
				publish(t, e, Publish{Delay: time.Hour}) // stands for the copy
				lsn := uint64(e.log.Durable().LSN) - 1
				if c.applied {
					read(t, e)
				}
				e.claims.done(k, lsn)
				took := make(chan time.Duration, 1)
				begun := time.Now()
				go func() {
					e.claims.take(k, &e.applier)
					took <- time.Since(begun)
				}()
				select {
				case d := <-took:
					if d > 0 {
						t.Errorf("waited %s", d)
					}
				case <-time.After(2 * batchDelay):
					t.Error("still waits")
					e.claims.drop(k)
					<-took
				}
				e.claims.drop(k)
			})
		})
	}
}
