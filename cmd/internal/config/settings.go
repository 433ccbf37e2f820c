package config

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// A Setting is one named value of the configuration. A name a.b-c is the flag
// --a.b-c, the variable TIDEMILL_A_B_C and the key b-c of the TOML table [a].
type Setting struct {
	Name   string // "log.fsync"
	Alias  string // a second, short flag; or ""
	Value  pflag.Value
	Usage  string
	Reload bool   // a change takes effect on SIGHUP; else it needs a restart
	secret string // this is the file that the setting of that name is read from
}

const EnvPrefix = "TIDEMILL_"

// EnvName is the variable of a setting: log.segment-size, TIDEMILL_LOG_SEGMENT_SIZE.
func (s *Setting) EnvName() string { return envName(s.Name) }

func envName(name string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
}

// Secret says whether the value is never shown.
func (s *Setting) Secret() bool {
	_, ok := s.Value.(*Secret)
	return ok
}

// table is the TOML table that a name is in, "" for none.
func table(name string) string {
	at := strings.LastIndexByte(name, '.')
	return name[:max(at, 0)]
}

func find(settings []Setting, name string) *Setting {
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &settings[i]
}

// Reloadable says whether a change of the setting takes effect on SIGHUP.
func Reloadable(name string) bool {
	s := find(new(Config).Settings(), name)
	return s != nil && s.Reload
}

// Changes returns the names of the settings whose values differ, in the order of the
// table. Of a secret that comes from a file its content counts, not where it is.
func Changes(old, new *Config) (names []string) {
	before, after := old.Settings(), new.Settings()
	for i := range before {
		if before[i].secret == "" && !sameValue(before[i].Value, after[i].Value) {
			names = append(names, before[i].Name)
		}
	}
	return names
}

func sameValue(a, b pflag.Value) bool {
	if s, ok := a.(*Secret); ok {
		return *s == *b.(*Secret)
	}
	return a.String() == b.String()
}
