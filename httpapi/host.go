package httpapi

var routeHosts = &route{name: "host list", access: accessRead, serve: (*exchange).hosts}

// hosts is GET /v2/hosts: an array, which the engine bounds.
func (x *exchange) hosts() error {
	hs, err := x.srv.opt.Engine.UserHosts(x.user)
	if err != nil {
		return err
	}
	return x.list(len(hs), func(o *obj, i int) {
		h := &hs[i]
		o.str("host", h.Host)
		o.flag("halfOpen", h.HalfOpen)
		if h.HalfOpen {
			o.time("nextProbe", h.Probe)
		}
		o.num("inFlight", int64(h.InFlight))
		o.num("messages", int64(h.Messages))
	})
}
