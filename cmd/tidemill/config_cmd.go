package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func newConfig(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show, check and explain the server's settings",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newConfigShow(environ), newConfigCheck(environ), newConfigExample())
	return c
}

// bindConfig defines the flags of a server and --dev.
func bindConfig(c *cobra.Command, environ []string) *config.Sources {
	s := config.Bind(c, false, environ)
	s.BindPort(c)
	c.Flags().BoolVar(&s.Dev, "dev", false, "of `tidemill dev`, instead of serve")
	return s
}

func newConfigShow(environ []string) *cobra.Command {
	var origins bool
	c := &cobra.Command{
		Use:   "show",
		Short: "Print all settings that a server would have, and where they come from",
		Long: "Print the settings that `tidemill serve` would have with the same flags, environment and\n" +
			"file. Secrets are printed as ***.",
		Args: cobra.NoArgs,
		Example: "  tidemill config show --origin --config /etc/tidemill/tidemill.toml\n" +
			"  tidemill config show -o toml --log.fsync interval=5ms > tidemill.toml",
	}
	sources := bindConfig(c, environ)
	c.Flags().BoolVar(&origins, "origin", false, "print where each value comes from")
	format := config.BindChoice(c, "output", "o", "how to print them", config.Formats...)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := loadChecked(c, sources)
		if err != nil {
			return err
		}
		return cfg.Show(c.OutOrStdout(), *format, origins)
	}
	return c
}

func newConfigCheck(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say all that is wrong with the settings",
		Long: "Check the settings as a start of `tidemill serve` would, with the same flags and environment\n" +
			"and with FILE, and print a line for each that is wrong. Nothing is opened but the files that\n" +
			"the settings name. The exit status is 0 if all is well, else 78.",
		Args: cobra.MaximumNArgs(1),
	}
	sources := bindConfig(c, environ)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			sources.SetFile(args[0])
		}
		if _, err := loadChecked(c, sources); err != nil {
			return err
		}
		what := sources.File()
		if what == "" {
			what = "the settings (no file was named)"
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s: valid\n", what)
		return err
	}
	return c
}

// loadChecked loads the settings, looks at what else a start would refuse of them, and
// prints the warnings.
func loadChecked(c *cobra.Command, sources *config.Sources) (*config.Config, error) {
	cfg, err := sources.Load()
	_, rootsErr := loadRoots(cfg.CAFile)
	if err = errors.Join(err, exit.With(exit.Config, rootsErr), checkAuth(cfg)); err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(c.ErrOrStderr(), "tidemill: warning:", w)
	}
	return cfg, nil
}

func newConfigExample() *cobra.Command {
	var dev bool
	c := &cobra.Command{
		Use:     "example",
		Short:   "Print a commented file of all settings with their defaults",
		Args:    cobra.NoArgs,
		Example: "  tidemill config example > tidemill.toml",
		RunE:    func(c *cobra.Command, _ []string) error { return config.WriteExample(c.OutOrStdout(), dev) },
	}
	c.Flags().BoolVar(&dev, "dev", false, "with the defaults of `tidemill dev`")
	return c
}
