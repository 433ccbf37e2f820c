package engine

import (
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

type exportToken struct {
	Type        string     `json:"type"`
	ID          string     `json:"id"`
	User        UserID     `json:"user"`
	Name        string     `json:"name,omitempty"`
	Access      string     `json:"access"`
	Admin       bool       `json:"admin,omitempty"`
	Created     time.Time  `json:"created"`
	Expires     *time.Time `json:"expires,omitempty"`
	Queues      []string   `json:"queues,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
	Hosts       []string   `json:"hosts,omitempty"`
	TokenSHA256 string     `json:"token_sha256,omitempty"`
}

// tokens exports the tokens besides those that accounts have, which their lines tell.
func (x *exporter) tokens(secrets bool) error {
	set := x.e.users.set.Load()
	for _, id := range slices.Sorted(maps.Keys(set.tokens)) {
		t := set.tokens[id]
		out := exportToken{
			Type: "token", ID: TokenID(id), User: UserID(t.User), Name: t.Name, Access: Access(t.Access).String(),
			Admin: t.Flags&record.TokenAdmin != 0, Created: *utc(t.Created), Queues: t.Queues, Groups: t.Groups, Hosts: t.Hosts,
		}
		if t.Expires != 0 {
			out.Expires = utc(t.Expires)
		}
		if secrets {
			out.TokenSHA256 = hex.EncodeToString(t.Hash[:])
		}
		x.end.Tokens++
		if err := x.json.Encode(out); err != nil {
			return err
		}
	}
	return nil
}
