package bench

import (
	"context"
	"encoding/base64"
	"net/url"
	"os"
	"os/exec"
)

// quirrelSender publishes over HTTP: a JSON object that holds the body as a string, to a path
// that names the destination.
type quirrelSender struct {
	*wire
	heads map[string][]byte // by host
	json  []byte
}

func (s *quirrelSender) publish(host string, body []byte) error {
	s.json = append(s.json[:0], `{"body":"`...)
	s.json = base64.StdEncoding.AppendEncode(s.json, body)
	s.json = append(s.json, `"}`...)
	head := s.heads[host]
	if head == nil {
		head = postHead(s.wire.addr, "/queues/"+url.QueryEscape("http://"+host+"/"), len(s.json), "Content-Type: application/json")
		s.heads[host] = head
	}
	return s.post(head, s.json)
}

// textBytes is the size of a body that has size bytes, a multiple of 4, as text.
func textBytes(size int) int { return size / 4 * 3 }

// decodeText takes a body out of its text; of another text it makes nothing.
func decodeText(text []byte) []byte {
	body, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return nil
	}
	return body
}

// startQuirrel starts it on a Redis of its own, and without its telemetry, which would call
// the world.
func startQuirrel(ctx context.Context, s *system) error {
	redis, err := s.redis(ctx)
	if err != nil {
		return err
	}
	addr, port, err := freePort()
	if err != nil {
		return err
	}
	cmd := exec.Command("quirrel", "--host", "127.0.0.1", "--port", port, "--redis-url", "redis://"+redis, "--quiet", "--no-cron")
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "DISABLE_TELEMETRY=1", "NODE_ENV=production")
	w := newWire(ctx, addr, s.o.RequestTimeout)
	defer w.close()
	health := []byte("GET /health HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
	if err := s.run(ctx, cmd, func() error { return w.post(health, nil) }); err != nil {
		return err
	}
	s.delivering = &way{
		name: "quirrel",
		text: true,
		dial: func(ctx context.Context) sender {
			return &quirrelSender{wire: newWire(ctx, addr, s.o.RequestTimeout), heads: make(map[string][]byte)}
		},
	}
	return nil
}
