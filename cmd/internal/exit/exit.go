// Package exit says with which status a command ends. The numbers are those of sysexits(3), which
// service managers know by name, so that a unit can tell what a restart mends from what it does not.
package exit

import "errors"

// Status is what a process ends with.
type Status int

const (
	OK          Status = 0
	Failure     Status = 1  // whatever has no status of its own
	Usage       Status = 64 // a command line that is wrong
	Data        Status = 65 // damaged data, or data of a newer version
	NoInput     Status = 66 // what was asked for is not there
	Unavailable Status = 69 // the port is taken, or the server does not answer
	Software    Status = 70 // the engine does not go on: a bug
	IO          Status = 74 // the disk fails, is full or read-only
	TempFail    Status = 75 // try again later: the directory is in use, the server refuses for now
	Denied      Status = 77 // no permission: a file's, or the token's
	Config      Status = 78 // a setting that is wrong
)

// With gives err a status; nil stays nil. The innermost status counts, since who knows most
// about a failure is who saw it.
func With(s Status, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*statusError](err); ok {
		return err
	}
	return &statusError{err, s}
}

// Of is the status of err: OK of nil, Failure of one that was given none.
func Of(err error) Status {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	return Failure
}

type statusError struct {
	error
	status Status
}

func (e *statusError) Unwrap() error { return e.error }
