package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pgConn speaks version 3 of Postgres's protocol, with one statement in flight and without a
// password. Not safe for concurrent use. An error of the connection closes it, and the next
// statement dials again.
type pgConn struct {
	wire *wire
	out  []byte // what is sent next
	in   []byte // the last message that was read
}

func newPgConn(ctx context.Context, addr string, timeout time.Duration) *pgConn {
	return &pgConn{wire: newWire(ctx, addr, timeout)}
}

func (c *pgConn) close() { c.wire.close() }

// pgError is what the server says about a statement.
type pgError string

func (e pgError) Error() string { return "postgres answered " + string(e) }

// postgresUser is whom Postgres runs as where we are root. Tests run fakes as root.
var postgresUser = "postgres"

// pgInsert is the name of the prepared statement of each connection.
const pgInsert = "insert"

// ready dials if need be, says who it is, and prepares the statement if the connection is to
// publish.
func (c *pgConn) ready(prepare bool) error {
	fresh := c.wire.conn == nil
	if err := c.wire.ready(); err != nil || !fresh {
		return err
	}
	c.out = binary.BigEndian.AppendUint32(c.out[:0], 0) // the length, below
	c.out = binary.BigEndian.AppendUint32(c.out, 3<<16)
	c.out = append(c.out, "user\x00postgres\x00database\x00postgres\x00\x00"...)
	binary.BigEndian.PutUint32(c.out, uint32(len(c.out)))
	_, err := c.exchange()
	if err == nil && prepare {
		c.begin('P')
		c.out = append(c.out, pgInsert+"\x00INSERT INTO messages (body) VALUES ($1)\x00\x00\x01\x00\x00\x00\x11"...) // one bytea
		c.end()
		c.sync()
		_, err = c.exchange()
	}
	if err != nil {
		c.close() // or the next statement would find it half made
	}
	return err
}

// begin starts a message in out, which end completes; there is one at a time.
func (c *pgConn) begin(kind byte) { c.out = append(c.out[:0], kind, 0, 0, 0, 0) }

func (c *pgConn) end() { binary.BigEndian.PutUint32(c.out[1:], uint32(len(c.out)-1)) }

// sync ends a statement, and so its transaction.
func (c *pgConn) sync() { c.out = append(c.out, 'S', 0, 0, 0, 4) }

// exchange sends what is in out and reads until the server is ready for the next. It returns
// the first column of the last row, if there was one. It closes the connection after any error
// but a statement's own.
func (c *pgConn) exchange() (value string, err error) {
	if _, err := c.wire.conn.Write(c.out); err != nil {
		c.close()
		return "", err
	}
	var refused error
	for {
		kind, payload, err := c.read()
		if err != nil {
			c.close()
			return "", errors.Join(refused, err)
		}
		switch kind {
		case 'Z':
			return value, refused
		case 'E':
			refused = pgError(strings.ReplaceAll(strings.TrimRight(string(payload), "\x00"), "\x00", " "))
		case 'D':
			value = firstColumn(payload)
		case 'R':
			if len(payload) < 4 || binary.BigEndian.Uint32(payload) != 0 {
				c.close()
				return "", errors.New("postgres asks for a password")
			}
		}
	}
}

// read returns the next message; payload is valid until the one after it.
func (c *pgConn) read() (kind byte, payload []byte, err error) {
	if c.in, err = readFull(c.wire.br, c.in, 5); err != nil {
		return 0, nil, err
	}
	kind = c.in[0]
	n := binary.BigEndian.Uint32(c.in[1:])
	if n < 4 || n > peerAnswerMax {
		return 0, nil, fmt.Errorf("%w: postgres sends a message of %d bytes", ErrCorrupt, n)
	}
	c.in, err = readFull(c.wire.br, c.in, int(n)-4)
	return kind, c.in, err
}

func firstColumn(row []byte) string {
	if len(row) < 6 {
		return ""
	}
	n := int32(binary.BigEndian.Uint32(row[2:]))
	if n < 0 || int(n) > len(row)-6 {
		return ""
	}
	return string(row[6 : 6+n])
}

// query runs a statement that is written out.
func (c *pgConn) query(sql string) (string, error) {
	if err := c.ready(false); err != nil {
		return "", err
	}
	c.begin('Q')
	c.out = append(append(c.out, sql...), 0)
	c.end()
	return c.exchange()
}

// pgSender publishes by inserting a row, in a transaction of its own.
type pgSender struct{ *pgConn }

func (s pgSender) publish(_ string, body []byte) error {
	if err := s.ready(true); err != nil {
		return err
	}
	s.begin('B') // of the nameless portal to the statement: one parameter, in binary; no binary results
	s.out = append(s.out, "\x00"+pgInsert+"\x00\x00\x01\x00\x01\x00\x01"...)
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(len(body)))
	s.out = append(append(s.out, body...), 0, 0)
	s.end()
	s.out = append(s.out, 'E', 0, 0, 0, 9, 0, 0, 0, 0, 0) // execute it, for all rows
	s.sync()
	_, err := s.exchange()
	return err
}

// startPostgres makes a database with one table. Publishing alone is compared: a queue of
// messages in a table is another product's.
func startPostgres(ctx context.Context, s *system) error {
	dir, err := s.freshDir("postgres")
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
	initdb.Dir = dir
	if err := notAsRoot(initdb, dir); err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %.1000s", err, out)
	}
	addr, err := s.postgres(ctx, dir, data)
	if err != nil {
		return err
	}
	c := newPgConn(ctx, addr, s.o.RequestTimeout)
	defer c.close()
	if _, err := c.query("CREATE TABLE messages (id bigserial PRIMARY KEY, body bytea NOT NULL)"); err != nil {
		return err
	}
	w := pgWay(s.o, addr)
	s.storing = func(int) *way { return w }
	return nil
}

// postgres starts the server on data, which initdb has made.
func (s *system) postgres(ctx context.Context, dir, data string) (addr string, err error) {
	addr, port, err := freePort()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("postgres", "-D", data, "-p", port,
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "logging_collector=off",
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "max_connections="+strconv.Itoa(s.o.connections()))
	cmd.Dir = dir
	if err := notAsRoot(cmd, dir); err != nil {
		return "", err
	}
	c := newPgConn(ctx, addr, s.o.RequestTimeout)
	defer c.close()
	return addr, s.run(ctx, cmd, func() error { _, err := c.query("SELECT 1"); return err })
}

func pgWay(o *PeersOptions, addr string) *way {
	once := func(ctx context.Context, sql string) (string, error) {
		c := newPgConn(ctx, addr, o.RequestTimeout)
		defer c.close()
		return c.query(sql)
	}
	return &way{
		name:  "postgres",
		dial:  func(ctx context.Context) sender { return pgSender{newPgConn(ctx, addr, o.RequestTimeout)} },
		clear: func(ctx context.Context) error { _, err := once(ctx, "TRUNCATE messages"); return err },
		count: func(ctx context.Context) (int64, error) {
			text, err := once(ctx, "SELECT count(*) FROM messages")
			if err != nil {
				return 0, err
			}
			return strconv.ParseInt(text, 10, 64)
		},
	}
}
