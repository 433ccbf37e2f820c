package top

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Getter reads one JSON document of a server into v; path begins with a slash. It is safe for
// concurrent use.
type Getter interface {
	Get(ctx context.Context, path string, v any) error
}

// Reader reads snapshots. Admin is the server's admin listener, API its public one; either may be
// nil. One goroutine uses it at a time.
type Reader struct {
	Admin, API Getter

	ahead time.Duration // of the server's clock before ours
	known bool          // that
}

// part is one document that a snapshot is made of.
type part struct {
	from Getter
	path string
	what string // in problems
	into any
}

// Read asks for everything at once. It fails if nobody told anything; a part that is missing is one
// of the snapshot's problems.
func (r *Reader) Read(ctx context.Context) (*Snapshot, error) {
	now := time.Now()
	r.learnClock(ctx, now)
	var a answers
	parts := r.parts(&a, now)
	errs := make([]error, len(parts))
	var asked sync.WaitGroup
	for i, p := range parts {
		asked.Go(func() { errs[i] = p.from.Get(ctx, p.path, p.into) })
	}
	asked.Wait()
	s := a.snapshot(now)
	for i, err := range errs {
		if err != nil {
			s.Problems = append(s.Problems, fmt.Sprintf("%s: %v", parts[i].what, err))
		}
	}
	if len(s.Problems) == len(parts) {
		return nil, errors.Join(errs[0])
	}
	r.known = r.API != nil && a.stats.To != 0
	r.ahead = time.UnixMilli(a.stats.To).Sub(now)
	return s, nil
}

func (r *Reader) parts(a *answers, now time.Time) (parts []part) {
	if r.Admin != nil {
		parts = append(
			parts,
			part{r.Admin, "/stats", "statistics of the disk", &a.disk},
			part{r.Admin, "/hosts", "hosts", &a.serverHosts},
		)
	}
	if r.API == nil {
		return parts
	}
	if r.Admin == nil {
		parts = append(parts, part{r.API, "/v2/hosts", "hosts", &a.accountHosts})
	}
	return append(
		parts,
		part{r.API, r.statsPath(now), "statistics", &a.stats},
		part{r.API, "/v2/globalParallelism", "parallelism", &a.parallelism},
		part{r.API, "/v2/flowControl", "flow-control keys", &a.flows},
		part{r.API, "/v2/queues", "queues", &a.push},
		part{r.API, "/v1/queues", "pull queues", &a.pull},
		part{r.API, "/v1/metrics", "metrics of pull queues", &a.metrics},
	)
}

// window is the time over which the rates of an account are told.
const window = 10 * time.Second

// learnClock asks what time it is at the server, since rates are told of its seconds. Later
// answers say it again.
func (r *Reader) learnClock(ctx context.Context, now time.Time) {
	if r.known || r.API == nil {
		return
	}
	var s accountStats
	if err := r.API.Get(ctx, "/v2/stats", &s); err == nil { // why not, its part of the snapshot says
		r.ahead = time.UnixMilli(s.To).Sub(now)
	}
}

func (r *Reader) statsPath(now time.Time) string {
	from := now.Add(r.ahead - window).Truncate(time.Second)
	return "/v2/stats?" + url.Values{"from": {strconv.FormatInt(from.UnixMilli(), 10)}}.Encode()
}
