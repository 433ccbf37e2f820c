package httpapi

import (
	"net/http"
	"strconv"

	"github.com/tidemill/tidemill/engine"
)

// AccountEngine is the part of Engine that is about accounts and tokens. What changes
// something returns when that is on disk.
type AccountEngine interface {
	Accounts() []engine.AccountInfo
	CreateUser(name string) (*engine.NewAccount, error)
	DeleteUser(u engine.UserID) error
	// Tokens returns those of one account, of all for 0.
	Tokens(u engine.UserID) []engine.TokenInfo
	CreateToken(spec *engine.TokenSpec) (secret string, info engine.TokenInfo, err error)
	RevokeToken(id string) error
}

var (
	routeUsers       = &route{name: "user list", access: accessAdmin, serve: (*exchange).users}
	routeUserCreate  = &route{name: "user create", access: accessAdmin, serve: (*exchange).createUser}
	routeUserDelete  = &route{name: "user delete", access: accessAdmin, serve: (*exchange).deleteUser}
	routeTokens      = &route{name: "token list", access: accessAdmin, serve: (*exchange).tokens}
	routeTokenCreate = &route{name: "token create", access: accessAdmin, serve: (*exchange).createToken}
	routeToken       = &route{name: "token", access: accessAdmin, serve: (*exchange).token}
	routeTokenRevoke = &route{name: "token revoke", access: accessAdmin, serve: (*exchange).revokeToken}
)

var (
	errNoUserID  = badRequest("the id is empty: /v2/users/{id}")
	errNoTokenID = badRequest("the id is empty: /v2/tokens/{id}")
)

// matchUsers matches what follows /v2/users.
func matchUsers(method string, rest []byte) (*route, []byte, *failure) {
	if len(rest) <= 1 {
		return collection(method, rest, errNoUserID, routeUsers, routeUserCreate)
	}
	id, more := cutSegment(rest)
	if len(more) > 0 || len(id) == 0 {
		return nil, nil, errNoRoute
	}
	r, fail := only(method, "DELETE", routeUserDelete)
	return r, id, fail
}

// matchTokens matches what follows /v2/tokens.
func matchTokens(method string, rest []byte) (*route, []byte, *failure) {
	if len(rest) <= 1 {
		return collection(method, rest, errNoTokenID, routeTokens, routeTokenCreate)
	}
	id, more := cutSegment(rest)
	switch {
	case len(more) > 0 || len(id) == 0:
		return nil, nil, errNoRoute
	case method == "GET":
		return routeToken, id, nil
	case method == "DELETE":
		return routeTokenRevoke, id, nil
	}
	return nil, nil, errNotAllowed
}

// users is GET /v2/users.
func (x *exchange) users() error {
	as := x.srv.opt.Engine.Accounts()
	return x.list(len(as), func(o *obj, i int) { o.account(&as[i]) })
}

func (o *obj) account(a *engine.AccountInfo) {
	o.num("id", int64(a.ID))
	o.str("name", a.Name)
	o.time("createdAt", a.Created)
	if a.Dev {
		o.flag("dev", true)
	}
}

// createUser is POST /v2/users {"name"}. The answer has the account's token, and nothing
// else ever will.
func (x *exchange) createUser() error {
	var raw []byte
	if fail := x.exactBody("name", oneMember("name", &raw)); fail != nil {
		return fail
	}
	name, fail := stringMember("name", raw)
	if fail != nil {
		return fail
	}
	a, err := x.srv.opt.Engine.CreateUser(string(name))
	if err != nil {
		return err
	}
	err = x.one(func(o *obj) {
		o.account(&a.AccountInfo)
		o.str("token", a.Token)
		o.str("current", a.Current)
		o.str("next", a.Next)
	})
	x.status = http.StatusCreated
	return err
}

// deleteUser is DELETE /v2/users/{id}.
func (x *exchange) deleteUser() error {
	id, fail := userID("user", x.arg)
	if fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.DeleteUser(id); err != nil {
		return err
	}
	return x.done()
}

func userID(field string, v []byte) (engine.UserID, *failure) {
	n, err := strconv.ParseUint(string(v), 10, 32)
	if err != nil || n == 0 {
		return 0, badValue(field, v, "must be the number of an account, as GET /v2/users lists it")
	}
	return engine.UserID(n), nil
}

// tokens is GET /v2/tokens, of one account with ?user=.
func (x *exchange) tokens() error {
	var of engine.UserID
	fail := eachParam(x.query, func(name, value string) (fail *failure) {
		if name != "user" {
			return badRequest("unknown parameter %s: tokens are listed by user", short(name))
		}
		of, fail = userID("user", []byte(value))
		return fail
	})
	if fail != nil {
		return fail
	}
	ts := x.srv.opt.Engine.Tokens(of)
	return x.list(len(ts), func(o *obj, i int) { o.token(&ts[i]) })
}

// token is GET /v2/tokens/{id}.
func (x *exchange) token() error {
	for _, t := range x.srv.opt.Engine.Tokens(0) {
		if t.ID == string(x.arg) {
			return x.one(func(o *obj) { o.token(&t) })
		}
	}
	return engine.ErrNotFound
}

// token writes the members of a token: what it is limited to only where it is.
func (o *obj) token(t *engine.TokenInfo) {
	o.str("id", t.ID)
	o.num("user", int64(t.User))
	o.str("name", t.Name)
	o.str("access", t.Access.String())
	o.flag("admin", t.Admin)
	o.time("createdAt", t.Created)
	if !t.Expires.IsZero() {
		o.time("expiresAt", t.Expires)
	}
	o.strs("queues", t.Queues)
	o.strs("groups", t.Groups)
	o.strs("hosts", t.Hosts)
}

// strs writes a list of texts unless it is empty.
func (o *obj) strs(name string, vs []string) {
	if len(vs) == 0 {
		return
	}
	o.key(name)
	for i, v := range vs {
		o.b = append(o.b, "[,"[min(i, 1)])
		o.b = appendString(o.b, v)
	}
	o.b = append(o.b, ']')
}

// createToken is POST /v2/tokens. The answer has the token, and nothing else ever will.
func (x *exchange) createToken() error {
	spec, fail := x.tokenSpec()
	if fail != nil {
		return fail
	}
	secret, info, err := x.srv.opt.Engine.CreateToken(spec)
	if err != nil {
		return err
	}
	err = x.one(func(o *obj) {
		o.token(&info)
		o.str("token", secret)
	})
	x.status = http.StatusCreated
	return err
}

// revokeToken is DELETE /v2/tokens/{id}: the token is refused from now on.
func (x *exchange) revokeToken() error {
	if err := x.srv.opt.Engine.RevokeToken(string(x.arg)); err != nil {
		return err
	}
	return x.done()
}
