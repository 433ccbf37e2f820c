package httpapi

import (
	"context"
	"errors"
	"net"
)

// Drain is the first, unhurried part of a stop. It closes the listeners and then serves
// the connections that there are, each for one more request, whose answer says that the
// connection closes. It returns when all have ended, or when ctx does; Shutdown, which ends
// those that nothing came on, follows.
//
// It is there because of the requests that are on their way when a server stops: on a
// connection that was just accepted, or on one kept alive whose client found it idle a
// moment ago. To close these at once, as Shutdown does, resets them, and a client that has
// sent a POST cannot know whether to send it again. What no server can prevent is that a
// client sends the first request in a long while in the very moment in which its idle
// connection is closed; so ctx should leave a client time that is about to send.
//
// Where the socket is not ours alone (systemd's socket activation), connections that were
// not accepted wait in it for the next server. So a restart loses no request (P37).
func (s *Server) Drain(ctx context.Context) error {
	err := s.stopAccepting()
	done := make(chan struct{})
	go func() {
		s.serving.Wait() // what a listener accepted as it was closed is served
		s.handlers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return err
}

// Shutdown closes the listeners and the idle connections and waits for the
// requests under way, which are told to close. When ctx ends first, all that is
// left is cut and ctx's error returned. It may be called again.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.stopAccepting()
	s.closeIdle()
	done := make(chan struct{})
	go func() {
		s.handlers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		s.cutAll()
		return errors.Join(ctx.Err(), err)
	}
}

func (s *Server) stopAccepting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	s.quitNow()
	var errs []error
	for ln := range s.mu.listeners {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Server) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping.Store(true)
	for c := range s.mu.conns {
		c.closeIn(connIdle)
	}
}

func (s *Server) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		c.cut()
	}
}
