package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
)

// manageCall is what the commands about accounts and tokens ask for: of a running
// server's admin listener, as JSON, or of the engine of a stopped one.
type manageCall struct {
	User    string   `json:"user,omitempty"`  // an account, by number or name; "" for the first
	Name    string   `json:"name,omitempty"`  // of what is to be made
	Token   string   `json:"token,omitempty"` // id of a token
	Access  string   `json:"access,omitempty"`
	Admin   bool     `json:"admin,omitempty"`
	Expires string   `json:"expires,omitempty"` // a duration
	Queues  []string `json:"queues,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Hosts   []string `json:"hosts,omitempty"`
}

// manageAnswer is what they get. Secrets are in it once: when they were made.
type manageAnswer struct {
	Users   []engine.AccountInfo
	Tokens  []engine.TokenInfo
	Secret  string
	Current string
	Next    string
}

// manageCalls are what can be asked for.
var manageCalls = map[string]func(e *engine.Engine, in *manageCall) (*manageAnswer, error){
	"user-create":  manageUserCreate,
	"user-list":    manageUserList,
	"user-delete":  manageUserDelete,
	"token-create": manageTokenCreate,
	"token-list":   manageTokenList,
	"token-revoke": manageTokenRevoke,
}

func manageUserCreate(e *engine.Engine, in *manageCall) (*manageAnswer, error) {
	a, err := e.CreateUser(in.Name)
	if err != nil {
		return nil, err
	}
	return &manageAnswer{Users: []engine.AccountInfo{a.AccountInfo}, Secret: a.Token, Current: a.Current, Next: a.Next}, nil
}

func manageUserList(e *engine.Engine, _ *manageCall) (*manageAnswer, error) {
	return &manageAnswer{Users: e.Accounts()}, nil
}

func manageUserDelete(e *engine.Engine, in *manageCall) (*manageAnswer, error) {
	a, err := findAccount(e, in.User)
	if err != nil {
		return nil, err
	}
	return &manageAnswer{Users: []engine.AccountInfo{a}}, e.DeleteUser(a.ID)
}

func manageTokenCreate(e *engine.Engine, in *manageCall) (*manageAnswer, error) {
	a, err := findAccount(e, in.User)
	if err != nil {
		return nil, err
	}
	access, ok := engine.ParseAccess(in.Access)
	if !ok {
		return nil, badFlag("access %q: want full, publish or read", in.Access)
	}
	var life time.Duration
	if in.Expires != "" {
		if life, err = delay.ParseDuration(in.Expires); err != nil || life < time.Second {
			return nil, badFlag("expires %q: want a duration of at least 1s, like 90d or 12h30m", in.Expires)
		}
	}
	secret, info, err := e.CreateToken(&engine.TokenSpec{
		User: a.ID, Name: in.Name, Access: access, Admin: in.Admin, Life: life, Queues: in.Queues, Groups: in.Groups, Hosts: in.Hosts,
	})
	if err != nil {
		return nil, err
	}
	return &manageAnswer{Users: []engine.AccountInfo{a}, Tokens: []engine.TokenInfo{info}, Secret: secret}, nil
}

func manageTokenList(e *engine.Engine, in *manageCall) (*manageAnswer, error) {
	var of engine.UserID
	if in.User != "" {
		a, err := findAccount(e, in.User)
		if err != nil {
			return nil, err
		}
		of = a.ID
	}
	return &manageAnswer{Users: e.Accounts(), Tokens: e.Tokens(of)}, nil
}

func manageTokenRevoke(e *engine.Engine, in *manageCall) (*manageAnswer, error) {
	err := e.RevokeToken(in.Token)
	if errors.Is(err, engine.ErrNotFound) {
		err = absent("there is no token %q: `tidemill token list` shows their ids", in.Token)
	}
	return &manageAnswer{}, err
}

// findAccount finds an account by its number or its name, and the first without either.
// What reads like a number is one.
func findAccount(e *engine.Engine, who string) (engine.AccountInfo, error) {
	n, notNumber := strconv.ParseUint(who, 10, 32)
	for _, a := range e.Accounts() { // in order of their numbers
		if who == "" || notNumber != nil && a.Name == who || notNumber == nil && a.ID == engine.UserID(n) {
			return a, nil
		}
	}
	if who == "" {
		return engine.AccountInfo{}, absent("there is no account yet: the first start of `tidemill serve` makes one")
	}
	return engine.AccountInfo{}, absent("there is no account %q: `tidemill user list` shows them", who)
}

// absentError is about what somebody named and is not there.
type absentError struct{ text string }

func (e *absentError) Error() string { return e.text }

func absent(format string, args ...any) error { return &absentError{fmt.Sprintf(format, args...)} }

// badFlag is an error of who asks.
func badFlag(format string, args ...any) error {
	return &engine.LimitError{Text: fmt.Sprintf(format, args...)}
}

// manageBodyMax bounds a request of a command: 100 limits of 256 bytes fit.
const manageBodyMax = 128 << 10

// manage serves POST /manage/{what}. What it does not know of a request it refuses: a
// newer command may limit a token by it.
func (a *admin) manage(w http.ResponseWriter, r *http.Request, e *engine.Engine) {
	call := manageCalls[r.PathValue("what")]
	if call == nil {
		adminError(w, http.StatusNotFound, "not found")
		return
	}
	var in manageCall
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, manageBodyMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		adminError(w, http.StatusBadRequest, "the request is none of this version's: "+err.Error())
		return
	}
	answer, err := call(e, &in)
	if err != nil {
		manageError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func manageError(w http.ResponseWriter, err error) {
	status := manageStatus(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Error  string `json:"error"`
		Absent bool   `json:"absent,omitempty"`
	}{err.Error(), status == http.StatusNotFound})
}

func manageStatus(err error) int {
	if _, ok := errors.AsType[*engine.LimitError](err); ok {
		return http.StatusBadRequest
	}
	if _, ok := errors.AsType[*absentError](err); ok {
		return http.StatusNotFound
	}
	if errors.Is(err, engine.ErrInUse) {
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable
}

// manage asks the running server or, with --data, does it in the stopped one's directory.
func (s *source) manage(c *cobra.Command, what string, in *manageCall) (*manageAnswer, error) {
	if s.data.dir != "" {
		return s.manageStopped(c, what, in)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	body, err := s.ask(c.Context(), "/manage/"+what, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	answer := new(manageAnswer)
	if err := json.NewDecoder(io.LimitReader(body, 64<<20)).Decode(answer); err != nil {
		return nil, fmt.Errorf("the server's answer: %w; whether it was done is unknown: look at the list", err)
	}
	return answer, nil
}

func (s *source) manageStopped(c *cobra.Command, what string, in *manageCall) (answer *manageAnswer, err error) {
	dir, err := s.data.open()
	if err != nil {
		return nil, err
	}
	err = dir.Manage(c.Context(), func(e *engine.Engine) (err error) {
		answer, err = manageCalls[what](e, in)
		return err
	})
	if errors.Is(err, engine.ErrLocked) {
		return nil, exit.With(exit.TempFail, fmt.Errorf("%w; a running server is asked through its admin listener (--from URL)", err))
	}
	if err != nil && manageStatus(err) != http.StatusServiceUnavailable { // as a running server would refuse it
		err = exit.With(client.ExitStatus(manageStatus(err)), err)
	}
	return answer, err
}
