package systemd

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed tidemill.service
var service string

//go:embed tidemill.socket
var socket string

// Unit is what a unit file can be told. The zero value is that of the package.
type Unit struct {
	Data   string // a directory below /var/lib, which systemd makes. Default: /var/lib/tidemill
	Listen string // [host:]port of the API. Default: the server's, :8080
	Config string // file of the configuration. Default: none
}

const (
	stateDirs   = "/var/lib/"
	defaultData = stateDirs + "tidemill"
	command     = "serve --data " + defaultData // in the unit file
)

// Service returns the unit file of the server.
func (u *Unit) Service() (string, error) {
	out, with := service, command
	if u.Data != "" {
		name, ok := strings.CutPrefix(strings.TrimRight(u.Data, "/"), stateDirs)
		if !ok || name == "" || strings.ContainsAny(name, " %\"'\\") {
			return "", fmt.Errorf("the data directory %q: the unit runs as a user of its own that can write below %s only: "+
				"name a directory there, without spaces, or use `systemctl edit` to set User= and ReadWritePaths=", u.Data, stateDirs)
		}
		out = strings.Replace(out, "StateDirectory=tidemill\n", "StateDirectory="+name+"\n", 1)
		with = "serve --data " + stateDirs + name
	}
	for _, flag := range []struct{ name, value string }{{"config", u.Config}, {"listen", u.Listen}} {
		if strings.ContainsAny(flag.value, " \t\n%\"'\\") {
			return "", fmt.Errorf("--%s %q has a character that means something to systemd: choose a plain one, or edit the unit", flag.name, flag.value)
		}
		if flag.value != "" {
			with += " --" + flag.name + " " + flag.value
		}
	}
	return strings.Replace(out, command, with, 1), nil
}

// Socket returns the unit file of the API's socket.
func (u *Unit) Socket() (string, error) {
	listen := strings.TrimPrefix(u.Listen, ":")
	if strings.ContainsAny(listen, " \t\n%\"'\\") {
		return "", fmt.Errorf("--listen %q: want [HOST:]PORT with a host that is an address", u.Listen)
	}
	if listen == "" {
		return socket, nil
	}
	return strings.Replace(socket, "ListenStream=8080", "ListenStream="+listen, 1), nil
}
