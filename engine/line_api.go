package engine

import "errors"

var errNotYet = errors.New("not yet")

func (e *Engine) SetQueue(u UserID, name string, c QueueChange) error { return errNotYet }
func (e *Engine) DeleteQueue(u UserID, name string) error             { return errNotYet }
func (e *Engine) Queue(u UserID, name string) (*QueueInfo, error)     { return nil, errNotYet }
func (e *Engine) Queues(u UserID) ([]QueueInfo, error)                { return nil, errNotYet }

func (e *Engine) Flow(u UserID, key string) (*FlowInfo, error) { return nil, errNotYet }

func (e *Engine) Flows(u UserID, search string) ([]FlowInfo, error)            { return nil, errNotYet }
func (e *Engine) PauseFlow(u UserID, key string) error                         { return errNotYet }
func (e *Engine) ResumeFlow(u UserID, key string) error                        { return errNotYet }
func (e *Engine) PinFlow(u UserID, key string, p FlowPin) error                { return errNotYet }
func (e *Engine) UnpinFlow(u UserID, key string, parallelism, rate bool) error { return errNotYet }
func (e *Engine) ResetFlow(u UserID, key string, parallelism bool) error       { return errNotYet }
func (e *Engine) GlobalParallelism() (most, count int)                         { return 0, 0 }
