package bench

import (
	"context"
	"errors"
	"fmt"
)

// children are the processes of a run. When one ends that was not told to, the run's context
// ends, with an ErrDied as its cause that has the last lines of what the process logged: so no
// round goes on for a server that is not there any more.
type children struct {
	spawn Spawn
	died  context.CancelCauseFunc // ends the run
	all   []*Child
}

// newChildren returns the children of a run, none yet, and the run's context. The caller ends
// them.
func newChildren(ctx context.Context, spawn Spawn) (children, context.Context) {
	ctx, died := context.WithCancelCause(ctx)
	return children{spawn: spawn, died: died}, ctx
}

func (c *children) start(ctx context.Context, role Role) (Server, error) {
	child, err := c.spawn(ctx, role)
	if err != nil {
		return Server{}, err
	}
	c.all = append(c.all, child)
	c.watch(child)
	return child.Server, nil
}

// watch ends the run when the child ends by itself. Its goroutine ends with the child.
func (c *children) watch(child *Child) {
	if child.life == nil || child.life.Ended == nil {
		return
	}
	go func() {
		if err := child.life.Ended(); err != nil {
			c.died(fmt.Errorf("%w: %w", ErrDied, err))
		}
	}()
}

// server is the one given, or one that is started now.
func (c *children) server(ctx context.Context, given Server) (Server, error) {
	if given.URL != "" {
		return given, nil
	}
	return c.start(ctx, RoleServer)
}

// kill ends the youngest child as a crash does.
func (c *children) kill() error {
	child := c.all[len(c.all)-1]
	if child.life == nil {
		return errors.New("this Spawn cannot kill a server")
	}
	return child.life.Kill()
}

// again starts the youngest child, which was killed, on the data that it has left.
func (c *children) again(ctx context.Context) (*Child, error) {
	last := &c.all[len(c.all)-1]
	child, err := (*last).life.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start it again: %w", err)
	}
	*last = child
	c.watch(child)
	return child, nil
}

// stop ends all children, the youngest first.
func (c *children) stop() error {
	var err error
	for i := len(c.all) - 1; i >= 0; i-- {
		err = errors.Join(err, c.all[i].Stop())
	}
	return err
}

// end stops all children and releases the run's context. It adds to the run's error.
func (c *children) end(err error) error {
	err = errors.Join(err, c.stop())
	c.died(nil)
	return err
}
