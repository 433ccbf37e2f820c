package engine

import (
	"context"
	"errors"
)

// Manage calls fn with the engine of a directory in which no server runs: recovered as by
// a start, and without a delivery. Accounts and tokens can be looked at and changed; what
// else asks the running engine for something never gets an answer. Lock must not have
// been called. The directory is closed again when it returns.
func (o *Offline) Manage(ctx context.Context, fn func(*Engine) error) (err error) {
	e, err := recoverEngine(o.options())
	if err != nil {
		return err
	}
	defer func() {
		close(e.stop)
		e.wg.Wait()
		err = errors.Join(err, e.closeFiles())
	}()
	e.wg.Go(e.applyLoop) // who looks waits for what was logged
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn(e)
}
