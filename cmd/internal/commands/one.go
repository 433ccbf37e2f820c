package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// What commands about one thing, which their first argument names, have in common.

// oneOf is a GET of the thing of a kind that args name, below path; operation is what may follow
// its name, such as "/pause".
func oneOf(kind, path string, args []string, operation string) (*client.Request, error) {
	if err := named("the name of the "+kind, args[:1]); err != nil {
		return nil, err
	}
	return &client.Request{Path: path + client.Escape(args[0]) + operation, Of: kind + " " + args[0]}, nil
}

// post makes the run of a command that has one operation done to a thing by a POST, and says so.
func post(kind, path, operation, sentence string) func(context.Context, *client.Session, []string) error {
	return func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf(kind, path, args, operation)
		if err != nil {
			return err
		}
		r.Method = http.MethodPost
		return s.Change(ctx, r, told(sentence, args[0]))
	}
}

// remove deletes a thing that must be there. The server answers the deletion of one that is not as
// a success (QSTASH.md §1.3), and a name that is misspelt would look deleted.
func remove(ctx context.Context, s *client.Session, r *client.Request, tell func(client.Object) string) error {
	if _, err := s.JSON(ctx, r); err != nil {
		return err
	}
	r.Method = http.MethodDelete
	return s.Change(ctx, r, tell)
}

// told is a sentence about an answer in which there is nothing to tell.
func told(format string, args ...any) func(client.Object) string {
	return func(client.Object) string { return fmt.Sprintf(format, args...) }
}

// printed prints an answer as it is, unless there is none.
func printed(s *client.Session, raw json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	return s.Out.JSON(raw)
}
