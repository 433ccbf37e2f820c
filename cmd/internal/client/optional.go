package client

import (
	"context"
	"encoding/json"

	"github.com/spf13/pflag"
)

// Optional is the target of a command that shows less without an API to ask.
type Optional struct{ at *target }

// BindOptional defines --url and --token-file.
func BindOptional(f *pflag.FlagSet, environ []string) *Optional {
	return &Optional{bindTarget(f, environ)}
}

// Open is nil if neither a flag nor the environment names a server. One that is named needs a token,
// as everywhere.
func (o *Optional) Open() (*Server, error) {
	if o.at.url == "" && o.at.tokenFile == "" && o.at.env("QSTASH_URL") == "" && o.at.env("QSTASH_DEV") == "" {
		return nil, nil
	}
	return o.at.open()
}

// Get reads an answer into v. It makes a Server what package top asks.
func (s *Server) Get(ctx context.Context, path string, v any) error {
	raw, err := s.JSON(ctx, &Request{Path: path})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return s.broken(err)
	}
	return nil
}
