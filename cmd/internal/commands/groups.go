package commands

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
)

// NewGroups is the command groups.
func NewGroups(environ []string) *cobra.Command {
	return group(&cobra.Command{
		Use:   "groups",
		Short: "Make, look at and change URL groups",
		Long: "A message that is published to a URL group is delivered to every one of its endpoints, each\n" +
			"with retries of its own.",
	}, newGroupsList(environ), newGroupsGet(environ), newGroupsAdd(environ), newGroupsRemove(environ), newGroupsDelete(environ))
}

// endpoints are the URLs of a group, with the names of those that have one.
func endpoints(o client.Object) string {
	var out []string
	for _, raw := range o.List("endpoints") {
		e, err := client.Parse(raw)
		if err != nil {
			continue
		}
		text := e.Text("url")
		if name := e.Text("name"); name != "" {
			text = name + "=" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, "  ")
}

func newGroupsList(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List URL groups",
		Example: "  tidemill groups list\n  tidemill groups list -o ndjson",
		Args:    cobra.NoArgs,
	}
	limit := bindLimit(c, 0)
	return client.Command(environ, c, func(ctx context.Context, s *client.Session, _ []string) error {
		return s.List(ctx, &client.Request{Path: "/v2/topics"}, client.Listing{}, *limit,
			client.Text("NAME", "name"),
			client.Time("CHANGED", "updatedAt"),
			client.Cell("ENDPOINTS", endpoints))
	})
}

func newGroupsGet(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "get GROUP",
		Short:   "List the endpoints of a URL group",
		Example: "  tidemill groups get newsletter",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf("URL group", "/v2/topics/", args, "")
		if err != nil {
			return err
		}
		raw, err := s.JSON(ctx, r)
		if err != nil || !s.Out.Table() {
			return printed(s, raw, err)
		}
		g, err := client.Parse(raw)
		if err != nil {
			return err
		}
		list := s.Out.List(client.Text("NAME", "name"), client.Text("URL", "url"))
		for _, e := range g.List("endpoints") {
			if err := list.Add(e); err != nil {
				return err
			}
		}
		return list.Close()
	})
}

// endpoint is how the API names one: to add it by its URL, and a name if it is to have one; to
// remove it by either.
type endpoint struct {
	URL  string `json:"url,omitempty"`
	Name string `json:"name,omitempty"`
}

func isURL(s string) bool {
	s = strings.ToLower(s)
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// addedEndpoint reads "URL" or "NAME=URL".
func addedEndpoint(arg string) (endpoint, error) {
	if isURL(arg) {
		return endpoint{URL: arg}, nil
	}
	if name, url, ok := strings.Cut(arg, "="); ok && name != "" && isURL(url) {
		return endpoint{URL: url, Name: name}, nil
	}
	return endpoint{}, usage("%q is no endpoint: want a URL that begins with http:// or https://, or NAME=URL", arg)
}

func newGroupsAdd(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:   "add GROUP URL|NAME=URL...",
		Short: "Add endpoints to a URL group, and make it if it is not there",
		Long: "Add endpoints to a URL group, which is made if it is not there. An endpoint that is there,\n" +
			"by its URL or its name, gets the name or the URL that is given.",
		Example: "  tidemill groups add newsletter https://a.example/hook billing=https://b.example/hook",
		Args:    cobra.MinimumNArgs(2),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		var added []endpoint
		for _, arg := range args[1:] {
			e, err := addedEndpoint(arg)
			if err != nil {
				return err
			}
			added = append(added, e)
		}
		return changeEndpoints(ctx, s, http.MethodPost, args[0], added, "added to")
	})
}

func newGroupsRemove(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "remove GROUP URL|NAME...",
		Short:   "Remove endpoints from a URL group",
		Long:    "Remove endpoints from a URL group, by their URLs or names. With its last one the group goes.",
		Example: "  tidemill groups remove newsletter https://a.example/hook billing",
		Args:    cobra.MinimumNArgs(2),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		if err := named("an endpoint", args[1:]); err != nil {
			return err
		}
		var removed []endpoint
		for _, arg := range args[1:] {
			if isURL(arg) {
				removed = append(removed, endpoint{URL: arg})
			} else {
				removed = append(removed, endpoint{Name: arg})
			}
		}
		return changeEndpoints(ctx, s, http.MethodDelete, args[0], removed, "removed from")
	})
}

func changeEndpoints(ctx context.Context, s *client.Session, method, name string, es []endpoint, verb string) error {
	r, err := oneOf("URL group", "/v2/topics/", []string{name}, "/endpoints")
	if err != nil {
		return err
	}
	r.Method, r.Body = method, client.Body(map[string]any{"endpoints": es})
	return s.Change(ctx, r, told("%s %s URL group %s.", count(int64(len(es)), "endpoint"), verb, name))
}

func newGroupsDelete(environ []string) *cobra.Command {
	return client.Command(environ, &cobra.Command{
		Use:     "delete GROUP",
		Short:   "Delete a URL group",
		Long:    "Delete a URL group. Messages that were published to it are still delivered.",
		Example: "  tidemill groups delete newsletter",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *client.Session, args []string) error {
		r, err := oneOf("URL group", "/v2/topics/", args, "")
		if err != nil {
			return err
		}
		return remove(ctx, s, r, told("URL group %s was deleted.", args[0]))
	})
}
