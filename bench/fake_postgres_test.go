package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

func playInitdb(_ context.Context, args []string) error {
	if !slices.Equal(args[2:], []string{"-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"}) || args[0] != "-D" {
		return fmt.Errorf("arguments %q", args)
	}
	return os.Mkdir(args[1], 0o700)
}

// fakePostgres has one table and counts its rows.
type fakePostgres struct{ rows, inserts atomic.Int64 }

func playPostgres(ctx context.Context, args []string) error {
	rest, err := pairs(args[:4], map[string]string{})
	if err != nil {
		return err
	}
	for _, want := range []string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=on", "synchronous_commit=on"} {
		if !slices.Contains(args, want) {
			return fmt.Errorf("%q lack %s", args, want)
		}
	}
	if err := os.WriteFile(rest["-D"]+"/written", nil, 0o600); err != nil { // initdb made it
		return err
	}
	p := new(fakePostgres)
	return listenAndPlay(ctx, "127.0.0.1:"+rest["-p"], p.serve)
}

const pgReady = "Z\x00\x00\x00\x05I"

func (p *fakePostgres) serve(c *bufio.ReadWriter) error {
	size := make([]byte, 4)
	if _, err := io.ReadFull(c, size); err != nil {
		return err
	}
	start := make([]byte, binary.BigEndian.Uint32(size)-4)
	if _, err := io.ReadFull(c, start); err != nil {
		return err
	}
	if string(start) != "\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00" {
		return fmt.Errorf("greeted with %q", start)
	}
	c.WriteString(pgMessage('R', "\x00\x00\x00\x00") + pgMessage('S', "fsync\x00on\x00") + pgReady)
	for {
		if err := c.Flush(); err != nil {
			return err
		}
		kind, payload, err := readPgMessage(c)
		if err != nil {
			return err
		}
		answer, err := p.answer(kind, payload)
		if err != nil {
			return err
		}
		c.WriteString(answer)
	}
}

func (p *fakePostgres) answer(kind byte, payload string) (string, error) {
	switch kind {
	case 'Q':
		return p.query(strings.TrimSuffix(payload, "\x00"))
	case 'P':
		if payload != "insert\x00INSERT INTO messages (body) VALUES ($1)\x00\x00\x01\x00\x00\x00\x11" {
			return "", fmt.Errorf("prepares %q", payload)
		}
		return pgMessage('1', ""), nil
	case 'B':
		rest, ok := strings.CutPrefix(payload, "\x00insert\x00\x00\x01\x00\x01\x00\x01")
		if !ok || len(rest) < 6 || int(binary.BigEndian.Uint32([]byte(rest))) != len(rest)-6 || !strings.HasSuffix(rest, "\x00\x00") {
			return "", fmt.Errorf("binds %.60q", payload)
		}
		return pgMessage('2', ""), nil
	case 'E':
		if payload != "\x00\x00\x00\x00\x00" {
			return "", fmt.Errorf("executes %q", payload)
		}
		if n := p.inserts.Add(1); faulty("postgres", "refuse") {
			return pgMessage('E', "SERROR\x00C53100\x00Mdisk full\x00\x00"), nil
		} else if !faulty("postgres", "lose") || n != 3 {
			p.rows.Add(1)
		}
		return pgMessage('C', "INSERT 0 1\x00"), nil
	case 'S':
		return pgReady, nil
	}
	return "", fmt.Errorf("unexpected message %c", kind)
}

func (p *fakePostgres) query(sql string) (string, error) {
	switch {
	case sql == "SELECT 1", strings.HasPrefix(sql, "CREATE TABLE messages ("):
	case sql == "TRUNCATE messages":
		p.rows.Store(0)
	case sql == "SELECT count(*) FROM messages":
		n := strconv.FormatInt(p.rows.Load(), 10)
		return pgMessage('D', "\x00\x01\x00\x00\x00"+string(rune(len(n)))+n) + pgMessage('C', "SELECT 1\x00") + pgReady, nil
	default:
		return "", errors.New("unexpected statement " + sql)
	}
	return pgMessage('C', "DONE\x00") + pgReady, nil
}

func pgMessage(kind byte, payload string) string {
	return string(kind) + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(payload)))) + payload
}

func readPgMessage(r io.Reader) (kind byte, payload string, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, "", err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(r, b)
	return head[0], string(b), err
}
