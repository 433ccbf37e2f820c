package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// fakeNATS knows the subjects that the harness uses. Of its two streams the harness does not
// see more than their counts and what it pulls.
type fakeNATS struct {
	queue  chan string
	stored atomic.Int64
	seq    atomic.Int64 // of what is published
	pulled atomic.Int64
	handed sync.Map // positions that were given out and not acknowledged
}

func playNATS(ctx context.Context, args []string) error {
	rest, err := pairs(args, map[string]string{})
	if err != nil {
		return err
	}
	config, err := os.ReadFile(rest["--config"])
	if err != nil {
		return err
	}
	if err := freshlyMade(filepath.Dir(rest["--config"])); err != nil {
		return err
	}
	want := regexp.MustCompile(`^listen: "(127\.0\.0\.1:\d+)"\njetstream \{\n  store_dir: "(.+)"\n  sync_interval: always\n\}\n$`)
	m := want.FindStringSubmatch(string(config))
	if m == nil || filepath.Dir(m[2]) != filepath.Dir(rest["--config"]) {
		return fmt.Errorf("the configuration is\n%s", config)
	}
	n := &fakeNATS{queue: make(chan string, 1<<18)}
	return listenAndPlay(ctx, m[1], n.serve)
}

// serve pings before each tenth answer and wants a pong before the next request.
func (n *fakeNATS) serve(c *bufio.ReadWriter) error {
	inbox, pinged := "", false
	c.WriteString(`INFO {"server_id":"fake","max_payload":1048576}` + "\r\n")
	if err := c.Flush(); err != nil {
		return err
	}
	for requests := 1; ; {
		line, err := c.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		switch {
		case words[0] == "CONNECT":
			if err := json.Unmarshal([]byte(line[len("CONNECT "):]), &struct{}{}); err != nil {
				return err
			}
		case words[0] == "SUB" && len(words) == 3 && words[2] == "1" && inbox == "":
			inbox = words[1]
		case words[0] == "PONG" && pinged:
			pinged = false
		case words[0] == "PUB" && !pinged:
			answer, err := n.take(c.Reader, words[1:], inbox)
			if err != nil {
				return err
			}
			if requests++; answer != "" && requests%10 == 0 {
				answer, pinged = "PING\r\n"+answer, true
			}
			c.WriteString(answer)
		default:
			return fmt.Errorf("unexpected line %.100q", line)
		}
		if err := c.Flush(); err != nil {
			return err
		}
	}
}

// take reads what is published and returns what the client gets for it.
func (n *fakeNATS) take(br *bufio.Reader, words []string, inbox string) (string, error) {
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return "", err
	}
	payload := make([]byte, size+2)
	if _, err := io.ReadFull(br, payload); err != nil {
		return "", err
	}
	body := strings.TrimSuffix(string(payload), "\r\n")
	if len(body) != size {
		return "", fmt.Errorf("%q ends a message", payload[size:])
	}
	subject := words[0]
	if strings.HasPrefix(subject, "$ACK.") {
		if _, held := n.handed.LoadAndDelete(subject); !held || body != "+ACK" {
			return "", fmt.Errorf("%s is answered with %q", subject, body)
		}
		return "", nil
	}
	if len(words) != 3 || words[1] != inbox {
		return "", fmt.Errorf("%q asks for no answer at %q", words, inbox)
	}
	reply, answer, err := n.answer(subject, body)
	return fmt.Sprintf("MSG %s 1 %s%d\r\n%s\r\n", inbox, reply, len(answer), answer), err
}

func (n *fakeNATS) answer(subject, body string) (reply, answer string, err error) {
	api, _ := strings.CutPrefix(subject, "$JS.API.")
	if body != "" && api != subject && !json.Valid([]byte(body)) {
		return "", "", fmt.Errorf("%s is sent %s", subject, body)
	}
	switch api {
	case "INFO", "CONSUMER.DURABLE.CREATE.queue.workers":
		return "", `{"type":"x"}`, nil
	case "STREAM.CREATE.stored", "STREAM.CREATE.queue":
		if faulty("nats-server", "full") {
			return "", `{"type":"x","error":{"code":500,"description":"insufficient storage"}}`, nil
		}
		return "", `{"type":"x"}`, nil
	case "STREAM.PURGE.stored":
		n.stored.Store(0)
		return "", `{"success":true}`, nil
	case "STREAM.INFO.stored":
		return "", fmt.Sprintf(`{"state":{"messages":%d}}`, n.stored.Load()), nil
	case "CONSUMER.MSG.NEXT.queue.workers":
		reply, answer = n.next()
		return reply, answer, nil
	}
	seq := n.seq.Add(1)
	switch lost := faulty("nats-server", "lose") && seq == 3; {
	case lost:
	case subject == "stored":
		n.stored.Add(1)
	case subject == "queue":
		n.queue <- body
	default:
		return "", "", fmt.Errorf("unexpected subject %s", subject)
	}
	return "", fmt.Sprintf(`{"stream":"%s","seq":%d}`, subject, seq), nil
}

// next is empty when there is no message for the time that a pull asks for.
func (n *fakeNATS) next() (reply, body string) {
	select {
	case body = <-n.queue:
		ack := fmt.Sprintf("$ACK.%d", n.pulled.Add(1))
		n.handed.Store(ack, true)
		return ack + " ", body
	case <-time.After(time.Second):
		return "", ""
	}
}
