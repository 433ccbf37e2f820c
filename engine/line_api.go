package engine

import "errors"

var errNotYet = errors.New("not yet")

func (e *Engine) PublishGroup(p *Publish) ([]MemberReceipt, error) { return nil, errNotYet }

func (e *Engine) Group(u UserID, name string) (*GroupInfo, error)            { return nil, errNotYet }
func (e *Engine) Groups(u UserID) ([]GroupInfo, error)                       { return nil, errNotYet }
func (e *Engine) AddEndpoints(u UserID, name string, es []Endpoint) error    { return errNotYet }
func (e *Engine) RemoveEndpoints(u UserID, name string, es []Endpoint) error { return errNotYet }
func (e *Engine) SetGroupHeader(u UserID, name string, hs []Header) error    { return errNotYet }
func (e *Engine) DeleteGroup(u UserID, name string) error                    { return errNotYet }
