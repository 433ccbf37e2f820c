package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// makeGroup makes the URL group, with one endpoint for each member.
func (d *soak) makeGroup(ctx context.Context) error {
	type endpoint struct {
		URL string `json:"url"`
	}
	var body struct {
		Endpoints []endpoint `json:"endpoints"`
	}
	for i, side := range soakWants[soakGroup] {
		body.Endpoints = append(body.Endpoints, endpoint{fmt.Sprintf("http://%s%s%d", d.sink.hosts[i], memberPath, side)})
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	head := targetHead(d.server, d.addr, "/v2/topics/"+d.group+"/endpoints", len(text))
	if err := d.ask(ctx, head, text); err != nil {
		return fmt.Errorf("make a URL group: %w", err)
	}
	return nil
}

// dropGroup removes it, and the queues, from a server that goes on.
func (d *soak) dropGroup(ctx context.Context) error {
	if d.o.Server.URL == "" {
		return nil
	}
	targets := []string{"/v2/topics/" + d.group}
	for i := range soakQueues {
		targets = append(targets, fmt.Sprintf("/v2/queues/%s-%d", d.group, i))
	}
	for _, target := range targets {
		if err := d.ask(ctx, requestHead("DELETE", d.server, d.addr, target), nil); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}

// ask makes one request on a connection of its own.
func (d *soak) ask(ctx context.Context, head, body []byte) error {
	w := newWire(ctx, d.addr, d.o.RequestTimeout)
	defer w.close()
	return w.post(head, body)
}

// raise sets v to n if it is less.
func raise(v *atomic.Uint64, n uint64) {
	for old := v.Load(); old < n; old = v.Load() {
		if v.CompareAndSwap(old, n) {
			return
		}
	}
}
