package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// A setting is one named value of the configuration.
type Setting struct {
	Name  string // "log.fsync"
	Alias string // a second, short flag; or ""
	Value pflag.Value
	Usage string
}

const EnvPrefix = "TIDEMILL_"

// envName is the variable of a setting: log.segment-size, TIDEMILL_LOG_SEGMENT_SIZE.
func (s *Setting) envName() string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.Name))
}

// BindFlags defines the flags of the settings.
func BindFlags(fs *pflag.FlagSet, settings []Setting) {
	fs.SortFlags = false
	for _, s := range settings {
		bindFlag(fs, s.Value, s.Name, fmt.Sprintf("%s [$%s]", s.Usage, s.envName()))
		if s.Alias != "" {
			bindFlag(fs, s.Value, s.Alias, "short for --"+s.Name)
		}
	}
}

func bindFlag(fs *pflag.FlagSet, v pflag.Value, name, usage string) {
	f := fs.VarPF(v, name, "", usage)
	if _, ok := v.(*FlagValue); ok {
		f.NoOptDefVal = "true"
	}
}

// FromEnv sets what the environment names and no flag did: a flag wins over a
// variable, a variable over the default. An empty variable counts as absent. A
// TIDEMILL_ variable that names no setting is refused, since a limit that is
// misspelt and silently not applied is found out too late.
func FromEnv(fs *pflag.FlagSet, settings []Setting, environ []string) error {
	var errs []error
	for _, kv := range environ {
		name, text, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, EnvPrefix) || text == "" {
			continue
		}
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.envName() == name })
		switch {
		case i < 0:
			errs = append(errs, unknownEnv(name, settings))
		case settings[i].changed(fs):
		default:
			if err := settings[i].Value.Set(text); err != nil {
				errs = append(errs, fmt.Errorf("invalid value %q of the environment variable %s: %w", text, name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// changed is true if the setting was given as a flag.
func (s *Setting) changed(fs *pflag.FlagSet) bool {
	return fs.Changed(s.Name) || s.Alias != "" && fs.Changed(s.Alias)
}

func unknownEnv(name string, settings []Setting) error {
	near, least := "", 4 // more than three edits away is another word
	for i := range settings {
		known := settings[i].envName()
		if d := editDistance(name, known); d < least {
			near, least = known, d
		}
		if settings[i].Alias != "" && name == EnvPrefix+strings.ToUpper(settings[i].Alias) {
			near, least = known, 0
		}
	}
	if near == "" {
		return fmt.Errorf("the environment variable %s names no setting: unset it (`tidemill serve --help` lists them all)", name)
	}
	return fmt.Errorf("the environment variable %s names no setting: did you mean %s?", name, near)
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
