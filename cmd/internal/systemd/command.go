package systemd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// NewCommand returns the command `systemd`.
func NewCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "systemd",
		Short: "Unit files for systemd",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newUnit())
	return c
}

func newUnit() *cobra.Command {
	var u Unit
	socket := false
	c := &cobra.Command{
		Use:   "unit",
		Short: "Print the unit file of the server, or of its socket",
		Long: "Print a unit file for systemd. With tidemill.socket enabled, too, systemd holds the socket\n" +
			"of the API, and a restart of the server refuses no connection. To install them:\n\n" +
			"  tidemill systemd unit >/etc/systemd/system/tidemill.service\n" +
			"  tidemill systemd unit --socket >/etc/systemd/system/tidemill.socket\n" +
			"  systemctl daemon-reload && systemctl enable --now tidemill.socket tidemill.service",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := u.Service()
			if socket && err == nil {
				text, err = u.Socket()
			}
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), text)
			return err
		},
	}
	c.Flags().BoolVar(&socket, "socket", false, "the socket's unit instead of the service's")
	c.Flags().StringVar(&u.Data, "data", "", "data directory, below "+stateDirs+" (default "+defaultData+")")
	c.Flags().StringVar(&u.Listen, "listen", "", "address of the API, [HOST:]PORT (default the server's, port 8080)")
	c.Flags().StringVar(&u.Config, "config", "", "configuration file")
	return c
}
