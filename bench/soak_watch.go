package bench

import (
	"context"
	"sync"
	"time"
)

// soakSample is what the server held at one moment. What is not known is 0.
type soakSample struct {
	memory
	descriptors int
	goroutines  float64
}

// watch looks at the server Samples times while a round lasts, until unwatch is called,
// which looks once more.
func (d *soak) watch(ctx context.Context) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		every := time.NewTicker(d.o.Round / time.Duration(d.o.Samples))
		defer every.Stop()
		for {
			select {
			case <-every.C:
				d.look(ctx)
			case <-stop:
				d.look(ctx)
				return
			}
		}
	})
	d.unwatch = sync.OnceFunc(func() { close(stop); wg.Wait() })
}

func (d *soak) look(ctx context.Context) {
	s := soakSample{descriptors: descriptors(d.server.PID)}
	s.memory, _ = memoryOf(d.server.PID)
	if d.server.Admin != "" && d.err == nil {
		text, err := askAdmin(ctx, d.server.Admin, "/metrics")
		if err == nil {
			s.goroutines, err = metric(text, "go_goroutines")
		}
		if ctx.Err() == nil {
			d.err = err
		}
	}
	d.held = append(d.held, s)
}

// figures have one value for each look.
func (d *soak) figures() (all []Figure) {
	for _, f := range []struct {
		name, unit string
		of         func(*soakSample) float64
	}{
		{"resident memory over time", "B", func(s *soakSample) float64 { return float64(s.resident) }},
		{"heap in it (RssAnon) over time", "B", func(s *soakSample) float64 { return float64(s.heap) }},
		{"descriptors over time", "", func(s *soakSample) float64 { return float64(s.descriptors) }},
		{"goroutines over time", "", func(s *soakSample) float64 { return s.goroutines }},
	} {
		known, values := false, make([]float64, len(d.held))
		for i := range d.held {
			values[i] = f.of(&d.held[i])
			known = known || values[i] > 0
		}
		if known {
			all = append(all, Figure{Name: f.name, Unit: f.unit, Values: values})
		}
	}
	return all
}
