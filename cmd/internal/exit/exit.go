// Package exit says with which status a command ends. The numbers are those of sysexits(3), which
// service managers know by name, so that a unit can tell what a restart mends from what it does not.
package exit

import (
	"errors"
	"strconv"
)

// Status is what a process ends with.
type Status int

const (
	OK          Status = 0
	Failure     Status = 1
	Usage       Status = 64
	Data        Status = 65
	NoInput     Status = 66
	Unavailable Status = 69
	Software    Status = 70
	IO          Status = 74
	TempFail    Status = 75
	Denied      Status = 77
	Config      Status = 78
)

// Statuses are all there are, in their order, as the handbook tells them.
var Statuses = []struct {
	Status  Status
	Name    string
	Meaning string
}{
	{OK, "ok", "it is done; after SIGINT or SIGTERM: an orderly stop"},
	{Failure, "failure", "whatever has no status of its own; a command that was interrupted"},
	{Usage, "usage", "the command line is wrong; the server refuses a value in it (400)"},
	{Data, "data", "damaged data, or data of a newer version; the server refuses a request as it is (409, 410, 412, 413)"},
	{NoInput, "noinput", "what was asked for is not there (404)"},
	{Unavailable, "unavailable", "the port is taken; the server does not answer"},
	{Software, "software", "the engine does not go on; the server has an internal error (500): a bug"},
	{IO, "io", "the disk fails, is full or read-only"},
	{TempFail, "tempfail", "try again later: the directory is in use; the server refuses for now (429, 503, 507)"},
	{Denied, "denied", "no permission: a file's, or the token's (401, 403)"},
	{Config, "config", "a setting is wrong or missing"},
}

// Named finds a status by its name or its number.
func Named(s string) (Status, bool) {
	for _, known := range Statuses {
		if s == known.Name || s == strconv.Itoa(int(known.Status)) {
			return known.Status, true
		}
	}
	return 0, false
}

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
