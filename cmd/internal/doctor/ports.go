package doctor

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// judgePort is about an address that a server is to listen on; err is what listening there said.
func judgePort(setting, addr string, err error, running bool) Check {
	choose := "choose another with --" + setting
	switch {
	case addr == config.AdminOff:
		return okay("off")
	case err == nil:
		return okay("%s is free", addr)
	case errors.Is(err, syscall.EADDRINUSE) && running:
		return okay("%s is taken, and a tidemill runs here", addr)
	case errors.Is(err, syscall.EADDRINUSE):
		return fail("stop what uses it (ss -ltnp), or "+choose, "%s is taken", addr)
	case errors.Is(err, os.ErrPermission):
		return fail("give the server CAP_NET_BIND_SERVICE (AmbientCapabilities=), or "+choose, "%s: this user may not listen there", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fail(choose, "%s is no address of this machine", addr)
	}
	return fail(choose, "%s: %v", addr, err)
}

// judgeAdminAddr adds what holds for the admin listener alone: it takes no token (P49).
func judgeAdminAddr(addr string, c Check) Check {
	host, _, err := net.SplitHostPort(addr)
	if c.State != OK || err != nil {
		return c
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return c
	}
	return warn("listen on 127.0.0.1", "%s; whoever reaches it reads all data and makes tokens: it takes no token", c.Found)
}
