package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// playQuirrel delivers before it answers. It checks that its Redis is there.
func playQuirrel(ctx context.Context, args []string) error {
	tail := len(args) - 2
	if strings.Join(args[max(tail, 0):], " ") != "--quiet --no-cron" || os.Getenv("DISABLE_TELEMETRY") == "" {
		return fmt.Errorf("arguments %q", args)
	}
	rest, err := pairs(args[:tail], map[string]string{"--host": "127.0.0.1"})
	if err != nil {
		return err
	}
	redis := newRedisConn(ctx, strings.TrimPrefix(rest["--redis-url"], "redis://"), relayTimeout)
	defer redis.close()
	if _, err := redis.do(nil, "PING"); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+rest["--port"])
	if err != nil {
		return err
	}
	clients := &hostClients{conns: 64}
	defer clients.close()
	var taken atomic.Int64
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
		if string(req.Path()) == "/health" {
			return
		}
		if err := forwardJob(req, clients, taken.Add(1)); err != nil {
			req.Error(err.Error(), fasthttp.StatusBadRequest)
			return
		}
		req.SetStatusCode(fasthttp.StatusCreated)
	})
}

func forwardJob(in *fasthttp.RequestCtx, clients *hostClients, n int64) error {
	escaped, ok := strings.CutPrefix(string(in.Request.Header.RequestURI()), "/queues/")
	endpoint, err := url.QueryUnescape(escaped)
	if !ok || err != nil || strings.Contains(escaped, "/") || !in.IsPost() {
		return fmt.Errorf("%s %s", in.Method(), in.Request.Header.RequestURI())
	}
	var job struct{ Body string }
	if err := json.Unmarshal(in.Request.Body(), &job); err != nil {
		return err
	}
	times := 1
	switch {
	case faulty("quirrel", "lose") && n == 3:
		times = 0
	case faulty("quirrel", "repeat") && n == 3:
		times = 2
	}
	var (
		req  fasthttp.Request
		resp fasthttp.Response
	)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetRequestURI(endpoint)
	req.SetBodyString(job.Body)
	host, err := hostOf(endpoint)
	for range times {
		err = errors.Join(err, clients.of(host).DoTimeout(&req, &resp, relayTimeout))
	}
	return err
}
