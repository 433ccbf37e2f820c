// Package metrics shows a server's counters to Prometheus, at GET /metrics of the admin
// listener.
//
// The program counts with counters of its own; nothing here is touched by a message. A
// scrape reads them, one after the other, and makes constant metrics of them. What it
// costs the server is bounded: one look at the engine's loop (engine.Gauges), some reads of
// the index, and queuesMax queues by name, whatever there is.
//
// No label's value comes from outside but the names of queues, which have letters, digits
// and . _ - only. There is no URL, host, header, token or message id in any of them (P45).
package metrics

import (
	"net/http"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/httpapi"
)

// Exporter answers scrapes from a registry of its own. Its parts are told to it as they
// come up; before, it answers with what there is. It is safe for concurrent use.
type Exporter struct {
	engine atomic.Pointer[engine.Engine]
	client atomic.Pointer[dispatch.Client]
	api    atomic.Pointer[httpapi.Server]

	registry *prometheus.Registry
	build    []string // values of tidemill_build_info
}

// scrapesMax bounds the scrapes at one time; more are answered with 503.
const scrapesMax = 3

// New returns an exporter that knows of no part of the server yet.
func New() *Exporter {
	x := &Exporter{registry: prometheus.NewPedanticRegistry(), build: buildInfo()}
	x.registry.MustRegister(
		x,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(
			collectors.WithGoCollectorMemStatsMetricsDisabled(),
			collectors.WithGoCollectorRuntimeMetrics(runtimeMetrics...),
		),
	)
	return x
}

// runtimeMetrics are what of the Go runtime is shown, beside the number of goroutines and
// threads and a summary of the collector's pauses: where memory is, what the collector
// aims at, and how long goroutines wait for a processor, which paces deliveries. A pattern
// would grow with each version of Go.
var runtimeMetrics = []collectors.GoRuntimeMetricsRule{
	exactly("/cpu/classes/gc/total:cpu-seconds"),
	exactly("/gc/cycles/total:gc-cycles"),
	exactly("/gc/heap/allocs:bytes"),
	exactly("/gc/heap/goal:bytes"),
	exactly("/gc/heap/live:bytes"),
	exactly("/memory/classes/heap/objects:bytes"),
	exactly("/memory/classes/heap/released:bytes"),
	exactly("/memory/classes/total:bytes"),
	exactly("/sched/latencies:seconds"),
}

// Watch tells of the engine and the client that makes its attempts.
func (x *Exporter) Watch(e *engine.Engine, c *dispatch.Client) {
	x.engine.Store(e)
	x.client.Store(c)
}

// WatchAPI tells of the API's server.
func (x *Exporter) WatchAPI(s *httpapi.Server) { x.api.Store(s) }

// Handler answers scrapes.
func (x *Exporter) Handler() http.Handler {
	return promhttp.HandlerFor(x.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax})
}

// Describe is prometheus.Collector's.
func (x *Exporter) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range table {
		ch <- f.desc
	}
}

// Collect is prometheus.Collector's. A part that does not answer any more is left out.
func (x *Exporter) Collect(ch chan<- prometheus.Metric) {
	s := sink{ch}
	s.put(buildMetric, 1, x.build...)
	if c := x.client.Load(); c != nil {
		s.attempts(c)
	}
	if a := x.api.Load(); a != nil {
		s.api(a.Stats())
	}
	e := x.engine.Load()
	s.put(readyMetric, boolean(e != nil && e.Ready() == nil))
	if e != nil {
		s.engine(e)
	}
}

func buildInfo() []string {
	version, commit, goVersion := "unknown", "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version, goVersion = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	return []string{version, commit, goVersion}
}
