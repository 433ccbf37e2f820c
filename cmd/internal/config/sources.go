package config

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// configFlag and configEnv name the TOML file. They are no settings: a file cannot name
// the file. Without either none is read.
const (
	configFlag = "config"
	configEnv  = EnvPrefix + "CONFIG"
)

// Sources are where a command takes its settings from. A flag wins over a variable of
// the environment, that over the file, that over systemd's credentials (which are for
// secrets only), and those over the default. A list of a higher source takes the place
// of the lower one's: they are never mixed.
type Sources struct {
	Dev bool // the defaults are those of dev

	environ []string
	file    string // of --config
	command *cobra.Command
	flags   map[string]*flagText
	port    *int // of --port; nil: the command has none
}

// Bind defines --config and the flags of all settings. The help shows dev's defaults if
// dev is true.
func Bind(c *cobra.Command, dev bool, environ []string) *Sources {
	s := &Sources{Dev: dev, environ: environ, command: c, flags: map[string]*flagText{}}
	fs := c.Flags()
	fs.SortFlags = false
	BindFile(c, &s.file)
	for _, set := range s.defaults().Settings() {
		f := &flagText{like: set.Value}
		s.flags[set.Name] = f
		if set.Secret() { // it is there to be refused with the reason
			fs.VarPF(f, set.Name, "", "").Hidden = true
			continue
		}
		bindFlag(fs, f, set.Name, set.Usage+" [$"+set.EnvName()+"]")
		if set.Alias != "" {
			bindFlag(fs, f, set.Alias, "short for --"+set.Name)
		}
	}
	return s
}

// BindFile defines --config, the path of the TOML file.
func BindFile(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, configFlag, "", "TOML file with settings [$"+configEnv+"]")
}

func bindFlag(fs *pflag.FlagSet, f *flagText, name, usage string) {
	flag := fs.VarPF(f, name, "", usage)
	if _, ok := f.like.(*FlagValue); ok {
		flag.NoOptDefVal = "true"
	}
}

// flagText is a flag as it was given. It is read by Load, together with what the other
// sources say, so that all that is wrong is told at once, and told again on a reload.
type flagText struct {
	like  pflag.Value // holds the default
	texts []string
}

func (f *flagText) String() string { return f.like.String() }
func (f *flagText) Type() string   { return f.like.Type() }

func (f *flagText) Set(s string) error {
	if _, secret := f.like.(*Secret); secret {
		s = "" // refused, and not kept
	}
	f.texts = append(f.texts, s)
	return nil
}

func (s *Sources) defaults() *Config {
	if s.Dev {
		return DevDefault()
	}
	return Default()
}

// File is the path of the TOML file, "" for none.
func (s *Sources) File() string { return filePath(s.file, s.environ) }

func filePath(flag string, environ []string) string {
	if flag != "" {
		return flag
	}
	return Env(environ, configEnv)
}

// SetFile names the TOML file, over --config and TIDEMILL_CONFIG.
func (s *Sources) SetFile(path string) { s.file = path }

// Lookup is what the environment, or else the file, says of one setting; "" if neither
// does. It is for commands that need to know where a server is, and not how it runs: they
// get along with an environment that a server would refuse, though not with such a file.
func Lookup(environ []string, file, name string) (string, error) {
	if v := Env(environ, envName(name)); v != "" {
		return v, nil
	}
	c := Default()
	c.origins = map[string]Origin{}
	l := &loader{config: c, settings: c.Settings()}
	l.applyFile(filePath(file, environ))
	if len(l.problems) > 0 {
		return "", exit.With(exit.Config, errors.Join(l.problems...))
	}
	if c.Origin(name).Source != FromFile {
		return "", nil
	}
	return find(l.settings, name).Value.String(), nil
}

// Env is the value of a variable, "" if it is not set.
func Env(environ []string, name string) (value string) {
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}
