package config

import "strconv"

// Source is a kind of place that a value can come from. The higher one wins.
type Source int

const (
	FromDefault    Source = iota
	FromCredential        // a file in systemd's $CREDENTIALS_DIRECTORY; secrets only
	FromFile              // the TOML file
	FromEnv
	FromFlag
)

var sourceNames = [...]string{"default", "credential", "file", "environment", "flag"}

func (s Source) String() string { return sourceNames[s] }

// Origin is where the value of a setting comes from.
type Origin struct {
	Source Source
	Name   string // of the flag with its dashes, the variable, or the file; "" for a default
	Line   int    // of the TOML file, counted from 1
	Column int    // in bytes, likewise
	Path   string // of the file that a secret was read from, which Name names; or ""
}

// String is the origin in one word, such as "default", "--log.fsync" or "tidemill.toml:3".
func (o Origin) String() string {
	text := o.Name
	switch {
	case o.Source == FromDefault:
		return o.Source.String()
	case o.Source == FromFile:
		text += ":" + strconv.Itoa(o.Line)
	}
	if o.Path != "" {
		return o.Path + " (" + text + ")"
	}
	return text
}

// Origin is where the value of the setting of that name comes from.
func (c *Config) Origin(name string) Origin { return c.origins[name] }
