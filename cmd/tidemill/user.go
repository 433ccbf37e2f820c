package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
)

func newUser(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Make, list and delete accounts",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newUserCreate(environ), newUserList(environ), newUserDelete(environ))
	return c
}

func newUserCreate(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an account and print its token and signing keys, once",
		Long: "Make an account: messages, queues, URL groups, schedules, keys and history of its own,\n" +
			"which no other account sees. Its token, of full access, is printed and kept nowhere." + aboutManage,
		Args: cobra.ExactArgs(1),
	}
	s := bindSource(c, environ)
	c.RunE = func(c *cobra.Command, args []string) error {
		a, err := s.manage(c, "user-create", &manageCall{Name: args[0]})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "Account %d (%s). Its token is printed once:\n", a.Users[0].ID, a.Users[0].Name)
		made := credentials{Token: a.Secret, Current: a.Current, Next: a.Next}
		for _, kv := range made.there() {
			fmt.Fprintf(c.OutOrStdout(), "export %s=%s\n", kv.name, kv.value)
		}
		return nil
	}
	return c
}

func newUserList(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List accounts",
		Long:  "List accounts." + aboutManage,
		Args:  cobra.NoArgs,
	}
	s, format := bindSource(c, environ), client.BindOutput(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, err := s.manage(c, "user-list", &manageCall{})
		if err != nil {
			return err
		}
		list := client.NewOutput(c.OutOrStdout(), *format, environ).List(
			client.Text("ID", "id"),
			client.Cell("NAME", func(o client.Object) string {
				if o.Bool("dev") {
					return o.Text("name") + " (development)"
				}
				return o.Text("name")
			}),
			client.Time("CREATED", "createdAt"))
		for i := range a.Users {
			if err := list.Add(client.Body(shownUser(&a.Users[i]))); err != nil {
				return err
			}
		}
		return list.Close()
	}
	return c
}

// userView is an account as GET /v2/users shows it.
type userView struct {
	ID      engine.UserID `json:"id"`
	Name    string        `json:"name"`
	Created int64         `json:"createdAt"`
	Dev     bool          `json:"dev,omitempty"`
}

func shownUser(a *engine.AccountInfo) *userView {
	return &userView{ID: a.ID, Name: a.Name, Created: a.Created.UnixMilli(), Dev: a.Dev}
}

func newUserDelete(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "delete ID|NAME",
		Short: "Delete an account that has nothing left",
		Long: "Delete an account with its tokens and keys. One that still has messages, dead letters,\n" +
			"schedules, queues or URL groups is left as it is: end those first, with a token of the\n" +
			"account (tidemill token create --user ID). Its number is never given again." + aboutManage,
		Args: cobra.ExactArgs(1),
	}
	s := bindSource(c, environ)
	c.RunE = func(c *cobra.Command, args []string) error {
		if args[0] == "" {
			return exit.With(exit.Usage, errors.New("which account? Give its number or its name"))
		}
		a, err := s.manage(c, "user-delete", &manageCall{User: args[0]})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "Account %d (%s) was deleted.\n", a.Users[0].ID, a.Users[0].Name)
		return err
	}
	return c
}
