package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Streams of the NATS server that is measured; each has the subject of its name.
const (
	natsStored  = "stored"  // is not delivered
	natsQueue   = "queue"   // is taken by the bridge, and removed when that acknowledges it
	natsWorkers = "workers" // the bridge's consumer of it
)

// natsConn speaks the protocol of NATS, with one request in flight, answered on an inbox of
// its own. It does without headers, so that a status which is one (a pull that ran out of
// time) comes as an empty message. Not safe for concurrent use. An error of the connection
// closes it, and the next request dials again.
type natsConn struct {
	wire  *wire
	inbox string
	out   []byte // written by flush
	in    []byte // the last message's payload
}

// natsMessage is what came to the inbox; both parts are valid until the next request.
type natsMessage struct {
	reply   []byte // where it is acknowledged; empty for an answer
	payload []byte
}

func newNATSConn(ctx context.Context, addr string, timeout time.Duration) *natsConn {
	return &natsConn{wire: newWire(ctx, addr, timeout), inbox: fmt.Sprintf("_INBOX.%016x", rand.Uint64())}
}

func (c *natsConn) close() {
	c.out = c.out[:0]
	c.wire.close()
}

// request publishes with the inbox as the reply subject and waits for what comes there.
func (c *natsConn) request(subject string, payload []byte) (natsMessage, error) {
	m, err := c.exchange(subject, payload)
	if err != nil {
		c.close()
		err = fmt.Errorf("nats %s: %w", subject, err)
	}
	return m, err
}

func (c *natsConn) exchange(subject string, payload []byte) (m natsMessage, err error) {
	if err := c.ready(); err != nil {
		return m, err
	}
	c.put(subject, c.inbox, payload)
	if err := c.flush(); err != nil {
		return m, err
	}
	return c.read()
}

// ready dials if need be, greets and subscribes to the inbox.
func (c *natsConn) ready() error {
	fresh := c.wire.conn == nil
	if err := c.wire.ready(); err != nil || !fresh {
		return err
	}
	info, err := readLine(c.wire.br)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(info, []byte("INFO ")) {
		return fmt.Errorf("%w: %.100q is no greeting of NATS", ErrCorrupt, info)
	}
	c.out = append(c.out[:0], `CONNECT {"verbose":false,"pedantic":false,"headers":false,"lang":"go","version":"1"}`+"\r\n"...)
	c.out = fmt.Appendf(c.out, "SUB %s 1\r\n", c.inbox)
	return nil
}

// put appends a PUB to what the next flush writes. reply may be empty.
func (c *natsConn) put(subject, reply string, payload []byte) {
	b := append(append(append(c.out, "PUB "...), subject...), ' ')
	if reply != "" {
		b = append(append(b, reply...), ' ')
	}
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(append(b, "\r\n"...), payload...)
	c.out = append(b, "\r\n"...)
}

func (c *natsConn) flush() error {
	_, err := c.wire.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// read waits for a message, and answers pings meanwhile.
func (c *natsConn) read() (m natsMessage, err error) {
	for {
		line, err := readLine(c.wire.br)
		if err != nil {
			return m, err
		}
		word, rest, _ := bytes.Cut(line, []byte{' '})
		switch string(word) {
		case "MSG":
			return c.readMessage(bytes.Fields(rest))
		case "PING":
			c.out = append(c.out, "PONG\r\n"...)
			if err := c.flush(); err != nil {
				return m, err
			}
		case "-ERR":
			return m, fmt.Errorf("the server says %s", rest)
		case "PONG", "+OK", "INFO":
		default:
			return m, fmt.Errorf("%w: %.100q is not of NATS's protocol", ErrCorrupt, line)
		}
	}
}

// readMessage takes the words behind MSG: subject, subscription, reply if there is one, size.
func (c *natsConn) readMessage(words [][]byte) (m natsMessage, err error) {
	if len(words) != 3 && len(words) != 4 {
		return m, fmt.Errorf("%w: a message with %d words before it", ErrCorrupt, len(words))
	}
	n, err := strconv.Atoi(string(words[len(words)-1]))
	if err != nil || n < 0 || n > peerAnswerMax {
		return m, fmt.Errorf("%w: a message of %.20q bytes", ErrCorrupt, words[len(words)-1])
	}
	if len(words) == 4 {
		m.reply = bytes.Clone(words[2]) // the words are in the reader's buffer
	}
	if c.in, err = readFull(c.wire.br, c.in, n+2); err != nil {
		return m, err
	}
	m.payload = c.in[:n]
	return m, nil
}

// natsAnswer is what is of interest in an answer of JetStream.
type natsAnswer struct {
	Error *struct {
		Description string `json:"description"`
	} `json:"error"`
	Seq   int64 `json:"seq"`
	State struct {
		Messages int64 `json:"messages"`
	} `json:"state"`
}

// api makes a request of JetStream whose answer is JSON.
func (c *natsConn) api(subject string, payload []byte) (a natsAnswer, err error) {
	m, err := c.request(subject, payload)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(m.payload, &a); err != nil {
		return a, fmt.Errorf("nats %s answered %.100q: %w", subject, m.payload, err)
	}
	if a.Error != nil {
		return a, fmt.Errorf("nats %s: %s", subject, a.Error.Description)
	}
	return a, nil
}

// natsSender publishes to a stream.
type natsSender struct {
	*natsConn
	subject string
	parcel  []byte
}

// natsStoredWord is in each acknowledgement of a stored message, and errors have none: looking
// for it costs the generator less than reading JSON.
var natsStoredWord = []byte(`"seq":`)

func (s *natsSender) publish(host string, body []byte) error {
	if host != "" {
		s.parcel = pack(s.parcel, host, body)
		body = s.parcel
	}
	m, err := s.request(s.subject, body)
	if err == nil && !bytes.Contains(m.payload, natsStoredWord) {
		err = fmt.Errorf("nats answered %.200q", m.payload)
	}
	return err
}

func natsWay(o *PeersOptions, addr, name, stream string) *way {
	once := func(ctx context.Context, api string) (natsAnswer, error) {
		c := newNATSConn(ctx, addr, o.RequestTimeout)
		defer c.close()
		return c.api(api+stream, nil)
	}
	return &way{
		name: name,
		dial: func(ctx context.Context) sender {
			return &natsSender{natsConn: newNATSConn(ctx, addr, o.RequestTimeout), subject: stream}
		},
		clear: func(ctx context.Context) error { _, err := once(ctx, "$JS.API.STREAM.PURGE."); return err },
		count: func(ctx context.Context) (int64, error) {
			a, err := once(ctx, "$JS.API.STREAM.INFO.")
			return a.State.Messages, err
		},
	}
}

// startNATS starts a server that syncs each message before it answers.
func startNATS(ctx context.Context, s *system) error {
	dir, err := s.freshDir("nats")
	if err != nil {
		return err
	}
	addr, _, err := freePort()
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n", addr, filepath.Join(dir, "store"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	c := newNATSConn(ctx, addr, s.o.RequestTimeout)
	defer c.close()
	cmd := exec.Command("nats-server", "--config", config)
	cmd.Dir = dir
	err = s.run(ctx, cmd, func() error { _, err := c.api("$JS.API.INFO", nil); return err })
	if err != nil {
		return err
	}
	if err := natsStreams(c); err != nil {
		return err
	}
	stored := natsWay(s.o, addr, "nats", natsStored)
	s.storing = func(int) *way { return stored }
	s.delivering = natsWay(s.o, addr, "nats+bridge", natsQueue)
	return s.bridge(ctx, "nats", addr)
}

func natsStreams(c *natsConn) error {
	for _, call := range [][2]string{
		{"$JS.API.STREAM.CREATE." + natsStored, `{"name":"stored","subjects":["stored"],"storage":"file","retention":"limits","num_replicas":1}`},
		{"$JS.API.STREAM.CREATE." + natsQueue, `{"name":"queue","subjects":["queue"],"storage":"file","retention":"workqueue","num_replicas":1}`},
		{
			"$JS.API.CONSUMER.DURABLE.CREATE." + natsQueue + "." + natsWorkers,
			`{"stream_name":"queue","config":{"durable_name":"workers","deliver_policy":"all","replay_policy":"instant",` +
				`"ack_policy":"explicit","ack_wait":60000000000,"max_ack_pending":4096,"max_waiting":512}}`,
		},
	} {
		if _, err := c.api(call[0], []byte(call[1])); err != nil {
			return err
		}
	}
	return nil
}

// natsSource pulls messages one by one.
type natsSource struct {
	*natsConn
	ack string // of the message that is worked on
}

func newNATSSource(ctx context.Context, addr string, _ int) source {
	return &natsSource{natsConn: newNATSConn(ctx, addr, relayTimeout)}
}

// natsPull asks for one message, for a second.
var natsPull = []byte(`{"batch":1,"expires":1000000000}`)

func (s *natsSource) next() ([]byte, error) {
	m, err := s.request("$JS.API.CONSUMER.MSG.NEXT."+natsQueue+"."+natsWorkers, natsPull)
	if err != nil || len(m.reply) == 0 {
		return nil, err
	}
	s.ack = string(m.reply)
	return m.payload, nil
}

// done leaves the acknowledgement to be written with the next pull: one system call less.
func (s *natsSource) done() error {
	if s.ack == "" {
		return errors.New("there is no message to acknowledge")
	}
	s.put(s.ack, "", []byte("+ACK"))
	s.ack = ""
	return nil
}
