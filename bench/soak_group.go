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
	if err := d.ask(ctx, "POST", "/v2/topics/"+d.group+"/endpoints", text); err != nil {
		return fmt.Errorf("make a URL group: %w", err)
	}
	return nil
}

// dropGroup removes it, and the queues, from a server that goes on.
func (d *soak) dropGroup(ctx context.Context) error {
	if d.o.Server.URL == "" {
		return nil
	}
	err := d.ask(ctx, "DELETE", "/v2/topics/"+d.group, nil)
	for i := 0; i < soakQueues && err == nil; i++ {
		err = d.ask(ctx, "DELETE", fmt.Sprintf("/v2/queues/%s-%d", d.group, i), nil)
	}
	return err
}

func (d *soak) ask(ctx context.Context, method, target string, body []byte) error {
	w := newWire(ctx, d.addr, d.o.RequestTimeout)
	defer w.close()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nContent-Type: application/json\r\n", method, target, d.addr, len(body))
	if d.server.Token != "" {
		head += "Authorization: Bearer " + d.server.Token + "\r\n"
	}
	return w.post([]byte(head+"\r\n"), body)
}

// raise sets v to n if it is less.
func raise(v *atomic.Uint64, n uint64) {
	for old := v.Load(); old < n; old = v.Load() {
		if v.CompareAndSwap(old, n) {
			return
		}
	}
}
