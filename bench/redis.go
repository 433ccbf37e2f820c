package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"
)

const (
	// peerBodyMax bounds a body given to a peer, as the least of their own bounds: NATS's.
	peerBodyMax = 512 << 10

	// peerAnswerMax bounds a part of a peer's answer: a body, its host and some framing.
	peerAnswerMax = 2 * peerBodyMax

	// redisStreamFrom is the number of producers from which on messages are stored in a
	// stream rather than a list: row 7 compares with the better of both.
	redisStreamFrom = 128
)

// Keys of the Redis that is measured.
const (
	redisList   = "list"   // what is stored by LPUSH
	redisStream = "stream" // what is stored by XADD
	redisQueue  = "queue"  // what is to be delivered
)

// redisConn speaks RESP, the protocol of Redis, with one command in flight. Not safe for
// concurrent use. An error of the connection closes it, and the next command dials again.
type redisConn struct {
	wire *wire
	out  []byte // the command
	in   []byte // the answer's text, until the next command
}

// redisError is an answer of Redis that says that a command failed.
type redisError string

func (e redisError) Error() string { return "redis answered " + string(e) }

func newRedisConn(ctx context.Context, addr string, timeout time.Duration) *redisConn {
	return &redisConn{wire: newWire(ctx, addr, timeout)}
}

func (c *redisConn) close() { c.wire.close() }

// do sends a command and reads its answer. The answer's text is valid until the next one.
func (c *redisConn) do(payload []byte, command ...string) (redisReply, error) {
	r, err := c.exchange(payload, command)
	if _, refused := errors.AsType[redisError](err); err != nil && !refused {
		c.close()
		return r, fmt.Errorf("redis %s: %w", command[0], err)
	}
	return r, err
}

// exchange puts payload, if there is one, behind the command's words.
func (c *redisConn) exchange(payload []byte, command []string) (redisReply, error) {
	if err := c.wire.ready(); err != nil {
		return redisReply{}, err
	}
	n := len(command)
	if payload != nil {
		n++
	}
	c.out = append(strconv.AppendInt(append(c.out[:0], '*'), int64(n), 10), "\r\n"...)
	for _, word := range command {
		c.out = appendBulk(c.out, word)
	}
	if payload != nil {
		c.out = appendBulk(c.out, payload)
	}
	if _, err := c.wire.conn.Write(c.out); err != nil {
		return redisReply{}, err
	}
	return c.read()
}

func appendBulk[T string | []byte](b []byte, s T) []byte {
	b = strconv.AppendInt(append(b, '$'), int64(len(s)), 10)
	b = append(b, "\r\n"...)
	b = append(b, s...)
	return append(b, "\r\n"...)
}

// redisReply is an answer that is a number, a text or nothing. Of an array it is the last
// element, which is what CONFIG GET of one name is about.
type redisReply struct {
	number int64
	text   []byte
	none   bool
}

func (c *redisConn) read() (r redisReply, err error) {
	line, err := readLine(c.wire.br)
	if err != nil {
		return r, err
	}
	switch line[0] {
	case '+':
		r.text = line[1:]
		return r, nil
	case '-':
		return r, redisError(line[1:])
	}
	if r.number, err = strconv.ParseInt(string(line[1:]), 10, 64); err != nil {
		return r, fmt.Errorf("%w: %.100q is no answer of Redis", ErrCorrupt, line)
	}
	switch line[0] {
	case ':':
		return r, nil
	case '$':
		return c.readBulk(r.number)
	case '*':
		return c.readArray(r.number)
	}
	return r, fmt.Errorf("%w: %.100q is no answer of Redis", ErrCorrupt, line)
}

func (c *redisConn) readBulk(n int64) (r redisReply, err error) {
	if n < 0 {
		return redisReply{none: true}, nil
	}
	if n > peerAnswerMax {
		return r, fmt.Errorf("%w: redis answers with %d bytes", ErrCorrupt, n)
	}
	if c.in, err = readFull(c.wire.br, c.in, int(n)+2); err != nil {
		return r, err
	}
	r.text = c.in[:n]
	return r, nil
}

func (c *redisConn) readArray(n int64) (r redisReply, err error) {
	r.none = true
	for range min(n, 8) {
		if r, err = c.read(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// readLine returns a line of a protocol, without its end, valid until the next read. It has at
// least one byte.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 {
		return nil, fmt.Errorf("%w: an empty line", ErrCorrupt)
	}
	return line, nil
}

// readFull reads n bytes into buf, which it grows if need be.
func readFull(br *bufio.Reader, buf []byte, n int) ([]byte, error) {
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(br, buf)
	return buf, err
}

// redisSender publishes by one command.
type redisSender struct {
	*redisConn
	command []string
	parcel  []byte
}

func (s *redisSender) publish(host string, body []byte) error {
	if host != "" {
		s.parcel = pack(s.parcel, host, body)
		body = s.parcel
	}
	_, err := s.do(body, s.command...)
	return err
}

// redisWay publishes by a command whose last word is the body; length is the one that counts.
func redisWay(o *PeersOptions, addr, name, key, length string, command ...string) *way {
	once := func(ctx context.Context, command ...string) (int64, error) {
		c := newRedisConn(ctx, addr, o.RequestTimeout)
		defer c.close()
		r, err := c.do(nil, command...)
		return r.number, err
	}
	return &way{
		name: name,
		dial: func(ctx context.Context) sender {
			return &redisSender{redisConn: newRedisConn(ctx, addr, o.RequestTimeout), command: command}
		},
		clear: func(ctx context.Context) error { _, err := once(ctx, "DEL", key); return err },
		count: func(ctx context.Context) (int64, error) { return once(ctx, length, key) },
	}
}

func startRedis(ctx context.Context, s *system) error {
	addr, err := s.redis(ctx)
	if err != nil {
		return err
	}
	list := redisWay(s.o, addr, "redis-LPUSH", redisList, "LLEN", "LPUSH", redisList)
	stream := redisWay(s.o, addr, "redis-XADD", redisStream, "XLEN", "XADD", redisStream, "*", "body")
	s.storing = func(c int) *way {
		if c < redisStreamFrom {
			return list
		}
		return stream
	}
	s.delivering = redisWay(s.o, addr, "redis+bridge", redisQueue, "LLEN", "LPUSH", redisQueue)
	return s.bridge(ctx, "redis", addr)
}

// redis starts a Redis that syncs each command before it answers. It rewrites no log and
// takes no snapshot meanwhile, which would only slow it down.
func (s *system) redis(ctx context.Context) (addr string, err error) {
	dir, err := s.freshDir("redis")
	if err != nil {
		return "", err
	}
	addr, port, err := freePort()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", dir,
		"--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0", "--save", "")
	cmd.Dir = dir
	c := newRedisConn(ctx, addr, s.o.RequestTimeout)
	defer c.close()
	err = s.run(ctx, cmd, func() error { _, err := c.do(nil, "PING"); return err })
	if err != nil {
		return "", err
	}
	r, err := c.do(nil, "CONFIG", "GET", "appendfsync")
	if err == nil && string(r.text) != "always" {
		err = fmt.Errorf("redis-server runs with appendfsync %q", r.text)
	}
	return addr, err
}
