package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
)

// firstAccount is the one that serve makes and auth.* is about.
const firstAccount engine.UserID = 1

// brought are the first account's secrets that its operator has put into the
// configuration; what he has not is empty.
func brought(cfg *config.Config) credentials {
	return credentials{Token: string(cfg.AuthToken), Current: string(cfg.AuthKey), Next: string(cfg.AuthNextKey)}
}

// checkAuth refuses secrets that everybody knows.
func checkAuth(cfg *config.Config) error {
	for i, secret := range brought(cfg).pairs() {
		for _, u := range devUsers {
			if slices.ContainsFunc(u.pairs(), func(p pair) bool { return p.value == secret.value }) {
				return exit.With(exit.Config, fmt.Errorf("%s is one of those that `tidemill dev` has, which are published: "+
					"choose one that nobody knows (%s)", authNames[i], cfg.Origin(authNames[i])))
			}
		}
	}
	return nil
}

// authNames are the settings of a credentials' pairs, in their order.
var authNames = [...]string{"auth.token", "auth.signing-key", "auth.next-signing-key"}

// applyAuth gives the first account the token and the keys that the configuration names
// now: at a start, and on a reload. The former token is not valid any more when it
// returns; what did not change is not logged again. dev has no such account.
func applyAuth(e accounts, cfg *config.Config, log *slog.Logger) error {
	if cfg.Development() {
		return nil
	}
	if err := checkAuth(cfg); err != nil {
		return err
	}
	b := brought(cfg)
	did, err := e.ConfigureAccount(&engine.Account{
		ID: firstAccount, Token: b.Token, Keys: engine.Keys{Current: b.Current, Next: b.Next},
	})
	if _, wrong := errors.AsType[*engine.LimitError](err); wrong {
		return exit.With(exit.Config, fmt.Errorf("auth.token, auth.signing-key: %w", err))
	}
	if err != nil {
		return fmt.Errorf("the configured secrets of the first account: %w", err)
	}
	switch {
	case did.Revived:
		log.Warn("the first account's token had been revoked, and the configuration gives it one again", "auth.token", cfg.Origin("auth.token").String())
	case did.Token:
		log.Info("the first account has another token: the former one is not valid any more", "auth.token", cfg.Origin("auth.token").String())
	}
	if did.Keys {
		log.Info("the first account has other signing keys", "auth.signing-key", cfg.Origin("auth.signing-key").String(),
			"auth.next-signing-key", cfg.Origin("auth.next-signing-key").String())
	}
	return nil
}
