// Package client is what the commands that talk to a running server share: where the server is and
// with which token (QSTASH_URL, QSTASH_TOKEN), requests with a clear error and an exit status for
// every way in which they fail, lists that follow their cursors, and output as a table, as JSON or
// as NDJSON.
//
// A command is made by Command, which binds the flags that all of them have:
//
//	client.Command(environ, &cobra.Command{Use: "get NAME", Args: cobra.ExactArgs(1)},
//		func(ctx context.Context, s *client.Session, args []string) error {
//			return s.One(ctx, &client.Request{
//				Path: "/v2/queues/" + client.Escape(args[0]), Of: "queue " + args[0],
//			}, client.Text("NAME", "name"), client.Number("LAG", "lag"))
//		})
//
// What JSON shows is the server's own, byte for byte, so that scripts can rely on the contract of
// its API: one object is the answer, a list is an array of the answers' elements, however many
// pages they came in. Tables are for people, and may change.
package client

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// Session is a command's server and output.
type Session struct {
	*Server
	Out *Output
	Err io.Writer // for what is no result
}

// Command completes c with the flags --url, --token-file and --output, and with a RunE that opens
// a session and runs run. The context ends with the first SIGINT or SIGTERM.
func Command(environ []string, c *cobra.Command, run func(ctx context.Context, s *Session, args []string) error) *cobra.Command {
	at := BindTarget(c.Flags(), environ)
	format := BindOutput(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		server, err := at.Open()
		if err != nil {
			return err
		}
		defer server.Close()
		s := &Session{Server: server, Out: NewOutput(c.OutOrStdout(), *format, environ), Err: c.ErrOrStderr()}
		return run(c.Context(), s, args)
	}
	return c
}

// One prints the object that r answers: as a table one line for each column that has a value.
func (s *Session) One(ctx context.Context, r *Request, cols ...Column) error {
	raw, err := s.JSON(ctx, r)
	if err != nil {
		return err
	}
	return s.Out.One(raw, cols...)
}

// List prints what r lists, at most limit elements, 0 for all, as they come.
func (s *Session) List(ctx context.Context, r *Request, l Listing, limit int, cols ...Column) error {
	list := s.Out.List(cols...)
	if err := s.Each(ctx, r, l, limit, list.Add); err != nil {
		list.Abandon()
		return err
	}
	return list.Close()
}

// Change makes a call that changes something, and says so: as a table with the sentence that tell
// makes of the answer.
func (s *Session) Change(ctx context.Context, r *Request, tell func(answer Object) string) error {
	raw, err := s.JSON(ctx, r)
	if err != nil {
		return err
	}
	return s.Out.Told(raw, tell)
}

// Body makes a request's body of v.
func Body(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("client: BUG: a body that is no JSON: " + err.Error())
	}
	return b
}
