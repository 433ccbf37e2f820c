package httpapi

import (
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
)

// rawToken holds the raw JSON of a token to be made; nil is an absent member.
type rawToken struct {
	user, name, access, admin, expiresIn, queues, groups, hosts []byte
}

func (r *rawToken) member(name []byte) *[]byte {
	switch string(name) {
	case "user":
		return &r.user
	case "name":
		return &r.name
	case "access":
		return &r.access
	case "admin":
		return &r.admin
	case "expiresIn":
		return &r.expiresIn
	case "queues":
		return &r.queues
	case "groups":
		return &r.groups
	case "hosts":
		return &r.hosts
	}
	return nil
}

// tokenSpec reads a token to be made: if nothing else is said one of full access without
// limits, for the account that asks.
func (x *exchange) tokenSpec() (*engine.TokenSpec, *failure) {
	var r rawToken
	if fail := x.exactBody("user, name, access, admin, expiresIn, queues, groups and hosts", r.member); fail != nil {
		return nil, fail
	}
	s := &engine.TokenSpec{User: x.user}
	for _, read := range []func(*engine.TokenSpec) *failure{r.owner, r.rights, r.life, r.limits} {
		if fail := read(s); fail != nil {
			return nil, fail
		}
	}
	return s, nil
}

func (r *rawToken) owner(s *engine.TokenSpec) (fail *failure) {
	if !isAbsent(r.user) {
		if s.User, fail = userID("user", r.user); fail != nil {
			return fail
		}
	}
	name, fail := stringMember("name", r.name)
	s.Name = string(name)
	return fail
}

func (r *rawToken) rights(s *engine.TokenSpec) *failure {
	access, fail := stringMember("access", r.access)
	if fail != nil {
		return fail
	}
	if access != nil {
		var ok bool
		if s.Access, ok = engine.ParseAccess(string(access)); !ok {
			return badValue("access", access, "must be full, publish or read")
		}
	}
	admin, fail := boolMember("admin", r.admin)
	s.Admin = admin != nil && *admin
	return fail
}

func (r *rawToken) life(s *engine.TokenSpec) *failure {
	if isNull(r.expiresIn) {
		return badRequest("expiresIn is null: leave it out for a token that does not expire")
	}
	v, fail := stringMember("expiresIn", r.expiresIn)
	if fail != nil || v == nil {
		return fail
	}
	d, err := delay.ParseDuration(string(v))
	if err != nil || d < time.Second {
		return badValue("expiresIn", v, "must be a duration of at least 1s, like 90d or 12h30m")
	}
	s.Life = d
	return nil
}

func (r *rawToken) limits(s *engine.TokenSpec) (fail *failure) {
	if s.Queues, fail = stringsMember("queues", r.queues); fail != nil {
		return fail
	}
	if s.Groups, fail = stringsMember("groups", r.groups); fail != nil {
		return fail
	}
	s.Hosts, fail = stringsMember("hosts", r.hosts)
	return fail
}

// stringsMember returns the texts of a list, nil for an absent one. An empty list and
// null are refused: they can be taken for none of a kind, or for any.
func stringsMember(name string, raw []byte) ([]string, *failure) {
	switch {
	case raw == nil:
		return nil, nil
	case isNull(raw):
		return nil, badRequest("%s is null: leave it out for no limit", name)
	case raw[0] != '[':
		return nil, badRequest("%s must be a list of strings", name)
	}
	var out []string
	for c := (cursor{b: raw}); c.next(']'); {
		v, fail := stringMember(name, c.value())
		switch {
		case fail != nil:
			return nil, fail
		case len(out) == engine.TokenLimitsMax:
			return nil, badRequest("%s has more than %d entries", name, engine.TokenLimitsMax)
		}
		out = append(out, string(v))
	}
	if len(out) == 0 {
		return nil, badRequest("%s is empty: leave it out for no limit", name)
	}
	return out, nil
}

// exactBody is cutBody that refuses members without a place: a limit that is misspelt
// must not be taken for none.
func (x *exchange) exactBody(want string, member func(name []byte) *[]byte) *failure {
	var unknown []byte
	fail := x.cutBody(want, func(name []byte) *[]byte {
		at := member(name)
		if at == nil && unknown == nil {
			unknown = append([]byte{}, name...)
		}
		return at
	})
	if fail == nil && unknown != nil {
		fail = badRequest("unknown member %s: the body takes %s", short(unknown), want)
	}
	return fail
}
