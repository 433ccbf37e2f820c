package systemd

import (
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// Sockets are the listeners that the manager passed (LISTEN_FDS); nil is one it did not.
type Sockets struct {
	API, Admin *net.TCPListener
}

// The names that FileDescriptorName= gives to sockets.
const (
	apiName   = "api"
	adminName = "admin"
)

// errTakeSocket says what a passed descriptor has to be.
var errTakeSocket = errors.New("want TCP sockets that listen, at most one named api and one named admin: " +
	"look at ListenStream= and FileDescriptorName= of the socket unit")

// Passed takes the sockets that were passed to this process, and what says so out of the
// environment. One socket alone is the API's unless it is named admin; several have to be
// named. A listener that is closed leaves the manager's socket as it is, with the
// connections that wait in it, for the next process.
func Passed() (s Sockets, err error) {
	files := activation.Files(true)
	for _, f := range files {
		ln, lnErr := net.FileListener(f) // a copy of the descriptor
		name := f.Name()
		err = errors.Join(err, f.Close())
		if lnErr != nil {
			err = errors.Join(err, fmt.Errorf("the descriptor %q that systemd passed: %w: %w", name, lnErr, errTakeSocket))
			continue
		}
		if len(files) == 1 && name != adminName {
			name = apiName
		}
		if putErr := s.put(name, ln); putErr != nil {
			err = errors.Join(err, putErr, ln.Close())
		}
	}
	if err != nil {
		s.Close()
		return Sockets{}, err
	}
	return s, nil
}

func (s *Sockets) put(name string, ln net.Listener) error {
	tcp, ok := ln.(*net.TCPListener)
	place := map[string]**net.TCPListener{apiName: &s.API, adminName: &s.Admin}[name]
	if !ok || place == nil || *place != nil {
		return fmt.Errorf("the socket %q (%s) that systemd passed: %w", name, ln.Addr(), errTakeSocket)
	}
	*place = tcp
	return nil
}

// Close closes what was passed and is not used.
func (s *Sockets) Close() {
	for _, ln := range []*net.TCPListener{s.API, s.Admin} {
		if ln != nil {
			_ = ln.Close()
		}
	}
}
