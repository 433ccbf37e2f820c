package main

import (
	"crypto/x509"
	"os"

	"github.com/tidemill/tidemill/cmd/internal/alerts"
	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/dispatch"
)

// alerting is what tells the operator, and the client that it calls the webhook with: one of its own, so that
// deliveries that take all there is hold up no alert.
type alerting struct {
	*alerts.Alerts
	client *dispatch.Client
	policy *dispatch.Policy
}

// openAlerts starts telling the webhook of the configuration. Its address is the operator's choice, so it may
// be a private one; a metadata service is none of either.
func (s *server) openAlerts(roots *x509.CertPool) error {
	policy, err := dispatch.NewPolicy(dispatch.PolicyOptions{AllowPrivate: true})
	if err != nil {
		return err
	}
	client, err := dispatch.New(dispatch.Options{
		Policy: policy, RootCAs: roots, MaxResponse: 4 << 10, MaxConnsPerHost: 1, MaxIdleConns: 1, MaxHosts: 4, Logger: s.log,
	})
	if err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		name = s.ln.Addr().String()
	}
	s.alerts = &alerting{alerts.New(alerts.Options{Wire: client, Server: name, Logger: s.log}), client, policy}
	return s.alerts.configure(s.cfg)
}

// configure applies what cfg says of alerts. It may be called at any time.
func (a *alerting) configure(cfg *config.Config) error {
	return exit.With(exit.Config, a.Set(string(cfg.AlertsWebhook), string(cfg.AlertsSecret)))
}

// trust replaces the certificate authorities.
func (a *alerting) trust(roots *x509.CertPool) { a.client.SetTrust(a.policy, roots) }

// close drops what was not sent. A nil *alerting is one that was not opened.
func (a *alerting) close() {
	if a == nil {
		return
	}
	_ = a.client.Close() // cuts off the request under way; there is nobody to tell
	a.Alerts.Close()
}
