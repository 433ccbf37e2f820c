package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
)

// aboutManage ends the help of the commands about accounts and tokens.
const aboutManage = "\n\nA running server is asked through its admin listener, and what is changed holds at once.\n" +
	"With --data the directory of a stopped one is changed."

func newToken(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenCreate(environ), newTokenList(environ), newTokenRevoke(environ))
	return c
}

func newTokenCreate(environ []string) *cobra.Command {
	in := &manageCall{Access: "full"}
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a token and print it, once",
		Long: "Make a token of an account and print it to standard output; it is kept nowhere, only its\n" +
			"SHA-256 is. --access publish may publish, enqueue and batch, and sees nothing; read sees\n" +
			"everything and changes nothing. With --queue the token may use these queues only; with\n" +
			"--group or --host it may send only to these URL groups and hosts, callbacks included." + aboutManage,
		Args: cobra.NoArgs,
		Example: "  tidemill token create --name shop --access publish --queue orders --host '*.shop.example' --expires 90d\n" +
			"  tidemill token create --admin --data /var/lib/tidemill",
	}
	f := c.Flags()
	f.StringVar(&in.User, "user", "", "account, by number or name (default the first one)")
	f.StringVar(&in.Name, "name", "", "what the token is for")
	f.StringVar(&in.Access, "access", in.Access, "full, publish or read")
	f.BoolVar(&in.Admin, "admin", false, "it may manage accounts and tokens")
	f.Var((*config.ListValue)(&in.Queues), "queue", "queue that it may use, and no others; repeatable")
	f.Var((*config.ListValue)(&in.Groups), "group", "URL group that it may send to, and nowhere else; repeatable")
	f.Var((*config.ListValue)(&in.Hosts), "host", "host that it may send to, a name, an address or *.suffix, and nowhere else; repeatable")
	f.StringVar(&in.Expires, "expires", "", "after this time it is refused, such as 90d (default never)")
	s := bindSource(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		for _, name := range []string{"user", "queue", "group", "host", "expires"} {
			if f.Changed(name) && f.Lookup(name).Value.String() == "" {
				return exit.With(exit.Usage, fmt.Errorf("--%s is empty: leave it out if that is meant", name)) // an unset variable of a script
			}
		}
		a, err := s.manage(c, "token-create", in)
		if err != nil {
			return err
		}
		t := &a.Tokens[0]
		fmt.Fprintf(c.ErrOrStderr(), "Token %s of account %d (%s) with access %s, limited to %s, expires %s. It is printed once:\n",
			t.ID, t.User, a.Users[0].Name, accessText(t), limitsText(t), expiryText(t))
		_, err = fmt.Fprintln(c.OutOrStdout(), a.Secret)
		return err
	}
	return c
}

func accessText(t *engine.TokenInfo) string {
	if t.Admin {
		return t.Access.String() + "+admin"
	}
	return t.Access.String()
}

func limitsText(t *engine.TokenInfo) string {
	var parts []string
	for _, l := range []struct {
		word string
		list []string
	}{{"queue:", t.Queues}, {"group:", t.Groups}, {"host:", t.Hosts}} {
		for _, v := range l.list {
			parts = append(parts, l.word+v)
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ",")
}

func expiryText(t *engine.TokenInfo) string {
	if t.Expires.IsZero() {
		return "never"
	}
	return client.Stamp(t.Expires)
}

func newTokenList(environ []string) *cobra.Command {
	in := &manageCall{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List tokens, without what is secret of them",
		Long:  "List the tokens of all accounts or, with --user, of one." + aboutManage,
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&in.User, "user", "", "account, by number or name (default all)")
	s, format := bindSource(c, environ), client.BindOutput(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, err := s.manage(c, "token-list", in)
		if err != nil {
			return err
		}
		list := client.NewOutput(c.OutOrStdout(), *format, environ).List(tokenColumns(a)...)
		for i := range a.Tokens {
			if err := list.Add(client.Body(shownToken(&a.Tokens[i]))); err != nil {
				return err
			}
		}
		return list.Close()
	}
	return c
}

// tokenView is a token as GET /v2/tokens shows it.
type tokenView struct {
	ID      string        `json:"id"`
	User    engine.UserID `json:"user"`
	Name    string        `json:"name"`
	Access  string        `json:"access"`
	Admin   bool          `json:"admin"`
	Created int64         `json:"createdAt"`
	Expires int64         `json:"expiresAt,omitempty"`
	Queues  []string      `json:"queues,omitempty"`
	Groups  []string      `json:"groups,omitempty"`
	Hosts   []string      `json:"hosts,omitempty"`
}

func shownToken(t *engine.TokenInfo) *tokenView {
	v := &tokenView{
		ID: t.ID, User: t.User, Name: t.Name, Access: t.Access.String(), Admin: t.Admin,
		Created: t.Created.UnixMilli(), Queues: t.Queues, Groups: t.Groups, Hosts: t.Hosts,
	}
	if !t.Expires.IsZero() {
		v.Expires = t.Expires.UnixMilli()
	}
	return v
}

// tokenColumns are a table's; what a tokenView has not is looked up in the answer.
func tokenColumns(a *manageAnswer) []client.Column {
	names, tokens := map[engine.UserID]string{}, map[string]*engine.TokenInfo{}
	for _, u := range a.Users {
		names[u.ID] = u.Name
	}
	for i := range a.Tokens {
		tokens[a.Tokens[i].ID] = &a.Tokens[i]
	}
	of := func(text func(t *engine.TokenInfo) string) func(o client.Object) string {
		return func(o client.Object) string { return text(tokens[o.Text("id")]) }
	}
	return []client.Column{
		client.Text("ID", "id"),
		client.Cell("USER", of(func(t *engine.TokenInfo) string { return fmt.Sprint(t.User, " ", names[t.User]) })),
		client.Cell("NAME", of(func(t *engine.TokenInfo) string {
			if t.First {
				return "(the account's first)"
			}
			return t.Name
		})),
		client.Cell("ACCESS", of(accessText)),
		client.Cell("LIMITED TO", of(limitsText)),
		client.Time("CREATED", "createdAt"),
		client.Cell("EXPIRES", of(expiryText)),
	}
}

func newTokenRevoke(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "Refuse a token from now on",
		Long: "Refuse a token from now on, also after a crash. Its id is in `tidemill token list`. Other\n" +
			"tokens of its account, and the account itself, stay as they are." + aboutManage,
		Args: cobra.ExactArgs(1),
	}
	s := bindSource(c, environ)
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, err := s.manage(c, "token-revoke", &manageCall{Token: args[0]}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "Token %s was revoked.\n", args[0])
		return err
	}
	return c
}
