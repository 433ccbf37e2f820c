package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"
)

// bridgePrefix begins the role of a bridge; "<kind>@<host:port>" of its peer follows.
const bridgePrefix = "bridge:"

// source is where a worker of a bridge takes messages from. Not safe for concurrent use.
type source interface {
	// next returns a message as pack made it, valid until done, or nil if none came for a
	// while. It stays with the peer until done removes it.
	next() ([]byte, error)
	done() error
	close()
}

var bridges = map[string]func(ctx context.Context, addr string, worker int) source{
	"redis": newRedisSource,
	"nats":  newNATSSource,
}

// serveBridge delivers for a peer that does not push: workers take a message, post it to its
// host, and remove it when that has answered 200. The first failure ends the bridge, and is
// its error: on one machine nothing fails that is to be tried again. It ends with ctx and
// takes ln over, on which there is nothing to say.
func serveBridge(ctx context.Context, ln net.Listener, spec string) error {
	kind, addr, _ := strings.Cut(spec, "@")
	open := bridges[kind]
	if open == nil {
		return errors.Join(fmt.Errorf("no bridge of the kind %q", kind), ln.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	clients := &hostClients{conns: relayWorkers}
	defer clients.close()
	var (
		wg   sync.WaitGroup
		fail failures
	)
	for i := range relayWorkers {
		wg.Go(func() {
			if err := carry(ctx, open(ctx, addr, i), clients); ctx.Err() == nil {
				fail.add(fmt.Errorf("bridge to %s: %w", kind, err))
				cancel()
			}
		})
	}
	err := ServeSink(ctx, ln)
	cancel()
	wg.Wait()
	_, first := fail.get()
	return errors.Join(err, first)
}

// carry is a worker. It returns why it cannot go on.
func carry(ctx context.Context, from source, clients *hostClients) error {
	defer from.close()
	var (
		req  fasthttp.Request
		resp fasthttp.Response
	)
	req.Header.SetMethod(fasthttp.MethodPost)
	for ctx.Err() == nil {
		parcel, err := from.next()
		if err != nil {
			return err
		}
		if parcel == nil {
			continue
		}
		host, body, err := unpack(parcel)
		if err != nil {
			return err
		}
		req.SetRequestURI("http://" + host + "/")
		req.SetBodyRaw(body)
		if err := clients.of(host).DoTimeout(&req, &resp, relayTimeout); err != nil {
			return err
		}
		if status := resp.StatusCode(); status != fasthttp.StatusOK {
			return fmt.Errorf("%s answered %d", host, status)
		}
		if err := from.done(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pack makes a message with its destination, in buf.
func pack(buf []byte, host string, body []byte) []byte {
	return append(append(append(buf[:0], host...), '\n'), body...)
}

// unpack is the reverse. body is part of parcel.
func unpack(parcel []byte) (host string, body []byte, err error) {
	first, body, ok := bytes.Cut(parcel, []byte{'\n'})
	if !ok {
		return "", nil, fmt.Errorf("%w: a message of %d bytes without a destination", ErrCorrupt, len(parcel))
	}
	return string(first), body, nil
}

// redisSource takes messages from a list, the oldest first, into one of its own, from which
// they are removed afterwards: Redis's reliable queue.
type redisSource struct {
	*redisConn
	own string
}

func newRedisSource(ctx context.Context, addr string, worker int) source {
	return &redisSource{newRedisConn(ctx, addr, relayTimeout), fmt.Sprintf("worker%d", worker)}
}

func (s *redisSource) next() ([]byte, error) {
	r, err := s.do(nil, "BLMOVE", redisQueue, s.own, "RIGHT", "LEFT", "1")
	if err != nil || r.none {
		return nil, err
	}
	return r.text, nil
}

func (s *redisSource) done() error {
	r, err := s.do(nil, "LPOP", s.own)
	if err == nil && r.none {
		return errors.New("a message was gone before it was removed")
	}
	return err
}
