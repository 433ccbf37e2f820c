package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// loader puts one configuration together.
type loader struct {
	config   *Config
	settings []Setting // of config
	problems []error
	flagsBad int // how many of the problems are flags
}

// Load reads the sources and checks what they say. It may be called again, when the
// file, or one that holds a secret, has changed; flags and environment stay what they
// were. The error is every problem, one in a line, with the status to exit with; secrets
// are in none of them. The configuration is there also with an error, as far as it could
// be read, for who wants to say more of it. It is not for concurrent use.
func (s *Sources) Load() (*Config, error) {
	c := s.defaults()
	c.origins = map[string]Origin{}
	l := &loader{config: c, settings: c.Settings()}
	// The lowest comes first, and what a higher one sets replaces it. So every value that
	// is given anywhere is read, also one that does not count.
	if s.file == "" && s.command.Flags().Changed(configFlag) {
		l.problems = append(l.problems, errors.New("--config is empty: leave it out if no file is meant")) // a script's unset variable
	}
	l.applyFile(s.File())
	l.applyEnv(s.environ)
	l.applyFlags(s)
	l.resolveSecrets(Env(s.environ, "CREDENTIALS_DIRECTORY"))
	if s.Dev && c.AuthToken+c.AuthKey+c.AuthNextKey != "" {
		l.warn("auth.* is not used by dev: its users are the published ones")
	}
	for _, err := range flatten(c.Validate()) {
		l.problems = append(l.problems, c.traced(err))
	}
	return c, l.result(s.command.CommandPath())
}

// given is a value that a source has for a setting.
type given struct {
	name   string // of the setting
	origin Origin
	set    func(pflag.Value) error
}

// apply sets what is given. What does not parse leaves the old value.
func (l *loader) apply(g *given) {
	s := find(l.settings, g.name)
	if list, ok := s.Value.(*ListValue); ok {
		before := *list
		*list = nil
		if err := g.set(list); err != nil {
			*list = before
			l.fail(g.origin, "%w", err)
			return
		}
	} else if err := g.set(s.Value); err != nil {
		l.fail(g.origin, "%w", err)
		return
	}
	l.config.origins[g.name] = g.origin
}

// applyEnv reads the environment. An empty variable counts as absent. A TIDEMILL_
// variable that names no setting is refused, since a limit that is misspelt and silently
// not applied is found out too late.
func (l *loader) applyEnv(environ []string) {
	for _, kv := range environ {
		name, text, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, EnvPrefix) || name == configEnv || text == "" {
			continue
		}
		origin := Origin{Source: FromEnv, Name: name}
		i := slices.IndexFunc(l.settings, func(s Setting) bool { return s.EnvName() == name })
		if i < 0 {
			l.fail(origin, "%s", l.unknownEnv(name))
			continue
		}
		l.apply(&given{l.settings[i].Name, origin, func(v pflag.Value) error { return setText(v, text) }})
	}
}

func (l *loader) unknownEnv(name string) string {
	known := []string{configEnv}
	for i := range l.settings {
		s := &l.settings[i]
		known = append(known, s.EnvName())
		if s.Alias != "" && name == envName(s.Alias) {
			return "this variable names no setting: did you mean " + s.EnvName() + "?"
		}
	}
	if near := nearest(name, known); near != "" {
		return "this variable names no setting: did you mean " + near + "?"
	}
	return "this variable names no setting: unset it (`tidemill config example` lists them all)"
}

// applyFlags takes the flags in the order of the table.
func (l *loader) applyFlags(s *Sources) {
	before := len(l.problems)
	for i := range l.settings {
		set := &l.settings[i]
		f := s.flags[set.Name]
		if f == nil || len(f.texts) == 0 {
			continue
		}
		origin := Origin{Source: FromFlag, Name: "--" + set.Name}
		if set.Secret() {
			l.fail(origin, "a secret is no flag, since everybody on this machine can read flags: "+
				"use --%s, the variable %s or the configuration file", set.Name+fileSuffix, set.EnvName())
			continue
		}
		l.apply(&given{set.Name, origin, func(v pflag.Value) error {
			for _, text := range f.texts {
				if err := setText(v, text); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	s.applyPort(l)
	l.flagsBad = len(l.problems) - before
}

// setText sets a value from a text, and repeats that in the error unless it is a secret.
func setText(v pflag.Value, text string) error {
	err := v.Set(text)
	if _, secret := v.(*Secret); err != nil && !secret {
		return fmt.Errorf("invalid value %q: %w", text, err)
	}
	return err
}

// fail notes a problem and where it is.
func (l *loader) fail(at Origin, format string, args ...any) {
	place := at.Name
	if at.Source == FromFile {
		place = fmt.Sprintf("%s:%d:%d", at.Name, at.Line, at.Column)
	}
	l.problems = append(l.problems, fmt.Errorf("%s: %w", place, fmt.Errorf(format, args...)))
}

func (l *loader) warn(format string, args ...any) {
	l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(format, args...))
}

// result is all problems as one error. A command line that is wrong and nothing else has
// the status of that.
func (l *loader) result(command string) error {
	err := errors.Join(l.problems...)
	if err != nil && l.flagsBad == len(l.problems) {
		return exit.With(exit.Usage, fmt.Errorf("%w\nRun `%s --help` for the flags and their values", err, command))
	}
	return exit.With(exit.Config, err)
}

// traced adds to an error about settings where they have their values from, as far as
// that is not the default.
func (c *Config) traced(err error) error {
	var from []string
	for _, word := range strings.FieldsFunc(err.Error(), func(r rune) bool { return strings.ContainsRune(" ,:;()", r) }) {
		o, ok := c.origins[word]
		if text := word + " is from " + o.String(); ok && o.Source != FromDefault && !slices.Contains(from, text) {
			from = append(from, text)
		}
	}
	if len(from) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(from, ", "))
}

// flatten is the errors that errors.Join made one.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !strings.Contains(err.Error(), "\n") {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}
