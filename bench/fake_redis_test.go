package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// fakeRedis knows the commands that the harness sends.
type fakeRedis struct {
	list, queue chan string // of redisList and redisQueue
	stream      atomic.Int64
	pushed      atomic.Int64
}

func playRedis(ctx context.Context, args []string) error {
	rest, err := pairs(args, map[string]string{
		"--bind": "127.0.0.1", "--appendonly": "yes", "--appendfsync": "always",
		"--auto-aof-rewrite-percentage": "0", "--save": "",
	})
	if err != nil {
		return err
	}
	if err := freshlyMade(rest["--dir"]); err != nil {
		return err
	}
	r := &fakeRedis{list: make(chan string, 1<<18), queue: make(chan string, 1<<18)}
	return listenAndPlay(ctx, "127.0.0.1:"+rest["--port"], r.serve)
}

func (r *fakeRedis) serve(c *bufio.ReadWriter) error {
	var own string
	var held int // in the list own
	for {
		words, err := readCommand(c.Reader)
		if err != nil {
			return err
		}
		var answer string
		switch name := strings.Join(words[:min(2, len(words))], " "); {
		case name == "BLMOVE queue" && len(words) == 6 && words[3]+words[4] == "RIGHTLEFT" && (own == "" || own == words[2]):
			own = words[2]
			select {
			case body := <-r.queue:
				held++
				answer = bulk(body)
			case <-time.After(time.Second):
				answer = "$-1\r\n"
			}
		case name == "LPOP "+own && held > 0:
			held--
			answer = bulk("removed")
		default:
			if answer, err = r.answer(words); err != nil {
				return err
			}
		}
		c.WriteString(answer)
		if err := c.Flush(); err != nil {
			return err
		}
	}
}

func (r *fakeRedis) answer(words []string) (string, error) {
	line := strings.Join(words[:len(words)-1], " ")
	last := words[len(words)-1]
	switch {
	case last == "PING" && len(words) == 1:
		return "+PONG\r\n", nil
	case line == "CONFIG GET" && last == "appendfsync":
		mode := "always"
		if faulty("redis-server", "lazy") {
			mode = "everysec"
		}
		return "*2\r\n" + bulk(last) + bulk(mode), nil
	case line == "DEL" && (last == redisList || last == redisStream):
		for len(r.list) > 0 {
			<-r.list
		}
		r.stream.Store(0)
		return ":1\r\n", nil
	case line == "LLEN" && last == redisList:
		return ":" + strconv.Itoa(len(r.list)) + "\r\n", nil
	case line == "XLEN" && last == redisStream:
		return fmt.Sprintf(":%d\r\n", r.stream.Load()), nil
	}
	return r.store(line, last)
}

func (r *fakeRedis) store(line, body string) (string, error) {
	n := r.pushed.Add(1)
	switch {
	case faulty("redis-server", "refuse"):
		return "-MISCONF the disk is full\r\n", nil
	case faulty("redis-server", "die") && n > 10:
		return "", errors.New("died of it")
	case faulty("redis-server", "lose") && n == 3:
		return ":1\r\n", nil
	case faulty("redis-server", "damage"):
		body = body[:len(body)-1] + string(body[len(body)-1]^1)
	}
	switch line {
	case "LPUSH list":
		r.list <- body
	case "LPUSH queue":
		r.queue <- body
	case "XADD stream * body":
		r.stream.Add(1)
		return bulk("1526919030474-55"), nil
	default:
		return "", fmt.Errorf("unexpected command %.60q", line)
	}
	return ":1\r\n", nil
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// readCommand reads an array of bulk strings, behind which there is no other: a producer has
// one request in flight.
func readCommand(br *bufio.Reader) ([]string, error) {
	n, err := readCount(br, '*')
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := readCount(br, '$')
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(br, b); err != nil {
			return nil, err
		}
		if string(b[size:]) != "\r\n" {
			return nil, fmt.Errorf("%q ends a word", b[size:])
		}
		words[i] = string(b[:size])
	}
	if n == 0 || br.Buffered() > 0 {
		return nil, fmt.Errorf("%d words, and %d bytes behind them", n, br.Buffered())
	}
	return words, nil
}

func readCount(br *bufio.Reader, kind byte) (int, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind || !strings.HasSuffix(line, "\r\n") {
		return 0, fmt.Errorf("%q, want a line that begins with %c", line, kind)
	}
	return strconv.Atoi(line[1 : len(line)-2])
}
