package metrics

import (
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tidemill/tidemill/wal/histogram"
)

// family is one metric: a name, and what an operator learns from it.
type family struct {
	name   string
	kind   string // as Prometheus writes it
	help   string
	labels []string
	desc   *prometheus.Desc
}

// table is all of them.
var table []*family

func declare(kind, name, help string, labels []string) *family {
	f := &family{name: "tidemill_" + name, kind: kind, help: help, labels: labels}
	f.desc = prometheus.NewDesc(f.name, help, labels, nil)
	table = append(table, f)
	return f
}

func counter(name, help string, labels ...string) *family {
	return declare("counter", name, help, labels)
}

func gauge(name, help string, labels ...string) *family {
	return declare("gauge", name, help, labels)
}

func histo(name, help string, labels ...string) *family {
	return declare("histogram", name, help, labels)
}

// sink is where a scrape puts what it reads.
type sink struct{ ch chan<- prometheus.Metric }

func (s sink) put(f *family, v float64, labels ...string) {
	kind := prometheus.GaugeValue
	if f.kind == "counter" {
		kind = prometheus.CounterValue
	}
	s.ch <- prometheus.MustNewConstMetric(f.desc, kind, v, labels...)
}

// number is put of an integer.
func number[T ~int | ~int64 | ~uint64](s sink, f *family, v T, labels ...string) {
	s.put(f, float64(v), labels...)
}

func (s sink) spread(f *family, h histogram.Snapshot, labels ...string) {
	s.ch <- prometheus.MustNewConstHistogram(f.desc, h.Count, h.Sum, h.Buckets, labels...)
}

func boolean(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

func exactly(name string) collectors.GoRuntimeMetricsRule {
	return collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^" + regexp.QuoteMeta(name) + "$")}
}
