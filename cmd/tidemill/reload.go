package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/cmd/internal/limits"
	"github.com/tidemill/tidemill/dispatch"
)

// reloading is what a running server needs to read its configuration again: on SIGHUP, or
// when POST /reload asks for it. One goroutine does both, one after the other, while
// requests go on. It is not the one that waits for SIGTERM: a reload may have to wait for
// the disk.
type reloading struct {
	load    func() (*config.Config, error) // reads the sources
	inForce config.Config                  // what they said, with the old values of what waits for a restart
	hangups <-chan os.Signal               // SIGHUP; nil: it ends the process
	asked   chan *reloadCall
	over    chan struct{} // closed when no call is taken any more

	// began and ended tell the service manager of each reload; nil: there is none.
	began, ended func()
}

// newReloading begins with what load said. It copies cfg: the server fits its own to the
// limits of the process.
func newReloading(load func() (*config.Config, error), cfg *config.Config) *reloading {
	return &reloading{load: load, inForce: *cfg, asked: make(chan *reloadCall), over: make(chan struct{})}
}

// takeReloads carries reloads out until the function that it returns is called. One that
// is under way then may end later; what it waits for ends with the engine.
func (s *server) takeReloads() (over func()) {
	r := s.reloads
	go func() {
		for {
			select {
			case <-r.over:
				return
			case <-r.hangups:
				_, _ = s.reload() // it is logged
			case call := <-r.asked:
				answer, err := s.reload()
				call.done <- reloadDone{answer, err}
			}
		}
	}()
	return func() { close(r.over) }
}

// reloadCall is one request for a reload. done has room for its answer.
type reloadCall struct{ done chan reloadDone }

type reloadDone struct {
	answer *reloadAnswer
	err    error
}

// reloadAnswer says what a reload did.
type reloadAnswer struct {
	Changed []settingChange `json:"changed"`
	Restart []settingChange `json:"needs_restart"` // these keep the value From
}

// settingChange is a setting whose sources say something else than what is in force.
// Secrets are three stars.
type settingChange struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

func (c settingChange) attr() slog.Attr { return slog.String(c.Name, c.From+" → "+c.To) }

var errStopping = errors.New("the server is stopping")

// ask has the server reload, and waits for what comes of it.
func (r *reloading) ask(ctx context.Context) (*reloadAnswer, error) {
	call := &reloadCall{make(chan reloadDone, 1)}
	select {
	case r.asked <- call:
		d := <-call.done
		return d.answer, d.err
	case <-r.over:
		return nil, errStopping
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reload reads the configuration again and puts in force what can be while the server
// runs. When anything is wrong nothing changes, and the error is every reason.
func (s *server) reload() (*reloadAnswer, error) {
	if r := s.reloads; r.began != nil {
		r.began()
		defer r.ended()
	}
	answer, err := s.tryReload()
	if err != nil {
		s.log.Error("configuration not reloaded: it is wrong, and nothing has changed", "error", err)
		return nil, err
	}
	return answer, nil
}

func (s *server) tryReload() (*reloadAnswer, error) {
	r := s.reloads
	next, err := r.load()
	if err != nil {
		return nil, err
	}
	answer := sortChanges(&r.inForce, next)
	for _, c := range answer.Restart {
		next.Keep(&r.inForce, c.Name)
	}
	if len(answer.Restart) > 0 { // together they may not fit what is kept
		if err := next.Validate(); err != nil {
			return nil, exit.With(exit.Config, fmt.Errorf("%w\nthese wait for a restart, and count with their former values: %s", err, names(answer.Restart)))
		}
	}
	if err := s.put(next, answer); err != nil {
		return nil, err
	}
	r.inForce = *next
	return answer, nil
}

// sortChanges tells what is new in next, and what of that waits for a restart.
func sortChanges(old, next *config.Config) *reloadAnswer {
	a := &reloadAnswer{Changed: []settingChange{}, Restart: []settingChange{}}
	for _, name := range config.Changes(old, next) {
		c := settingChange{name, old.Text(name), next.Text(name)}
		if config.Reloadable(name) {
			a.Changed = append(a.Changed, c)
		} else {
			a.Restart = append(a.Restart, c)
		}
	}
	return a
}

func names(cs []settingChange) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Name)
	}
	return strings.Join(out, ", ")
}

// put puts a configuration in force, all of it or, with an error, nothing. It first does
// what can fail.
func (s *server) put(next *config.Config, answer *reloadAnswer) error {
	policy, err := dispatch.NewPolicy(next.PolicyOptions(s.own()))
	if err != nil {
		return exit.With(exit.Config, err)
	}
	roots, err := loadRoots(next.CAFile)
	if err != nil {
		return exit.With(exit.Config, err)
	}
	if err := s.alerts.configure(next); err != nil {
		return err
	}
	fit := s.fit(next)
	before := s.engine.Limits()
	if err := s.engine.SetLimits(fit.EngineOptions().Limits()); err != nil {
		return exit.With(exit.Config, errors.Join(err, s.alerts.configure(&s.reloads.inForce)))
	}
	if err := applyAuth(s.engine, next, s.log); err != nil {
		return errors.Join(err, s.engine.SetLimits(before), s.alerts.configure(&s.reloads.inForce))
	}
	live := s.apiOptions(fit).Live()
	if err := s.api.SetLive(live); err != nil {
		panic("BUG: the API refuses what the configuration allows: " + err.Error())
	}
	s.client.SetLimits(clientLimits(fit))
	s.trust(policy, roots, answer)
	s.patience.Store(int64(fit.ShutdownTimeout))
	s.tellReloaded(next, answer)
	return nil
}

// trust puts rules of destinations in force if they are others. The file of authorities
// may have changed where its name has not.
func (s *server) trust(policy *dispatch.Policy, roots *x509.CertPool, answer *reloadAnswer) {
	changed := false
	for _, c := range answer.Changed {
		changed = changed || strings.HasPrefix(c.Name, "destinations.")
	}
	if !changed && !samePool(roots, s.roots) {
		answer.Changed = append(answer.Changed, settingChange{"destinations.ca-file", "what was in the file", "what is in it now"})
		changed = true
	}
	if changed {
		s.roots = roots
		s.client.SetTrust(policy, roots)
		s.alerts.trust(roots)
	}
}

func samePool(a, b *x509.CertPool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(b)
}

// fit is next as far as the limits of the process allow it, like that of the start.
func (s *server) fit(next *config.Config) *config.Config {
	fit := *next
	fit.Data = s.cfg.Data // dev has made one
	var less []string
	if limit, _ := limits.Memory(); limit != math.MaxInt64 {
		clients := s.descriptors.Clients
		less = fit.FitMemory(limit, &clients)
	}
	if most := s.descriptors.AttemptsMost(limits.OpenFiles()); fit.Parallelism > most {
		fit.Parallelism, fit.HostParallelism = most, min(fit.HostParallelism, most)
		less = append(less, fmt.Sprintf("delivery.parallelism (%d)", most))
	}
	if len(less) > 0 {
		s.log.Warn("the limits of the process for memory and files are below what the configuration allows: these take less",
			"settings", strings.Join(less, ","))
	}
	return &fit
}

// tellReloaded logs one line. One that a less talkative level would swallow comes first.
func (s *server) tellReloaded(next *config.Config, answer *reloadAnswer) {
	level := slog.LevelInfo
	var attrs []slog.Attr
	group := func(name string, cs []settingChange) {
		if len(cs) == 0 {
			return
		}
		var in []slog.Attr
		for _, c := range cs {
			in = append(in, c.attr())
		}
		attrs = append(attrs, slog.GroupAttrs(name, in...))
	}
	group("changed", answer.Changed)
	if group("needs_restart", answer.Restart); len(answer.Restart) > 0 {
		level = slog.LevelWarn
	}
	text := "configuration reloaded"
	if len(attrs) == 0 {
		text += ": nothing has changed"
	}
	enabled := s.log.Enabled(context.Background(), level)
	if !enabled {
		s.logs.Set(logOptions(next))
	}
	s.log.LogAttrs(context.Background(), level, text, attrs...)
	for _, w := range next.Warnings {
		s.log.Warn(w)
	}
	if enabled {
		s.logs.Set(logOptions(next))
	}
}
