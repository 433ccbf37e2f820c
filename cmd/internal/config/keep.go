package config

// Keep takes the value of a setting, and where it is from, from an older configuration:
// a change of it waits for a restart. It is not for lists and secrets, which never wait.
func (c *Config) Keep(old *Config, name string) {
	from, to := find(old.Settings(), name), find(c.Settings(), name)
	if err := to.Value.Set(from.Value.String()); err != nil {
		panic("BUG: " + name + " does not read its own value: " + err.Error())
	}
	if o, ok := old.origins[name]; ok {
		c.origins[name] = o
	} else {
		delete(c.origins, name)
	}
}

// Text is the value of a setting as the configuration has it; a secret is three stars.
func (c *Config) Text(name string) string { return find(c.Settings(), name).Value.String() }
