package dispatch

import (
	"crypto/tls"
	"crypto/x509"
)

// trust is what decides where connections may go and whom they believe. It is replaced
// as a whole and never changed, so that an attempt that looks at it sees one or the other.
type trust struct {
	policy *Policy
	tls    *tls.Config // cloned for each host, with its session cache
}

func newTrust(p *Policy, roots *x509.CertPool) *trust {
	if p == nil {
		p = &Policy{}
	}
	return &trust{policy: p, tls: &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    roots,
		NextProtos: []string{"http/1.1"},
		// Sessions are not resumed under other roots: a resumed one is not verified again.
		ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
	}}
}

// SetTrust replaces Options.Policy and Options.RootCAs; nil stands for the same as there.
// No attempt that begins after it returns uses a connection that was made by the former
// rules (P39): those are closed, once the attempts that are under way on them have ended.
func (c *Client) SetTrust(p *Policy, roots *x509.CertPool) { c.trust.Store(newTrust(p, roots)) }

// CheckURL is Policy.CheckURL of the policy in force.
func (c *Client) CheckURL(rawURL string) error { return c.trust.Load().policy.CheckURL(rawURL) }

// SetLimits replaces Options.MaxResponse and Options.MaxConnsPerHost, both above zero,
// for the attempts that begin from then on.
func (c *Client) SetLimits(maxResponse, maxConnsPerHost int) {
	c.maxResponse.Store(int64(min(max(maxResponse, 1), maxMaxResponse)))
	c.maxConns.Store(int64(max(maxConnsPerHost, 1)))
}
