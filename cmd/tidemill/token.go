package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
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
				return fmt.Errorf("--%s is empty: leave it out if that is meant", name) // an unset variable of a script
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
	return stamp(t.Expires)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func newTokenList(environ []string) *cobra.Command {
	in := &manageCall{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List tokens, without what is secret of them",
		Long:  "List the tokens of all accounts or, with --user, of one." + aboutManage,
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&in.User, "user", "", "account, by number or name (default all)")
	s := bindSource(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, err := s.manage(c, "token-list", in)
		if err != nil {
			return err
		}
		names := map[engine.UserID]string{}
		for _, u := range a.Users {
			names[u.ID] = u.Name
		}
		return table(c.OutOrStdout(), "ID\tUSER\tNAME\tACCESS\tLIMITED TO\tCREATED\tEXPIRES", len(a.Tokens), func(i int) string {
			t := &a.Tokens[i]
			name := t.Name
			if t.First {
				name = "(the account's first)"
			}
			return fmt.Sprintf("%s\t%d %s\t%s\t%s\t%s\t%s\t%s", t.ID, t.User, names[t.User], name, accessText(t), limitsText(t), stamp(t.Created), expiryText(t))
		})
	}
	return c
}

// table writes lines whose cells are separated by tabs.
func table(w io.Writer, head string, n int, line func(i int) string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	for i := range n {
		fmt.Fprintln(t, line(i))
	}
	return t.Flush()
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
