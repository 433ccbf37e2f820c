package bench

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

const (
	// pullStamp is the head of each message's text: run and sequence number, in hex.
	pullStamp   = 32
	pullBodyMin = 128
	pullBodyMax = 32 << 10
	// pullAnswerMax bounds the answer to a receive.
	pullAnswerMax = pullBatch*(pullBodyMax+1<<10) + 1<<10
)

// receiveBody asks for a batch. The lease outlasts any round.
var receiveBody = []byte(`{"max_messages":100,"wait_seconds":1,"visibility_seconds":3600}`)

// pullFormat makes and recognises the batches of one run: messages that are JSON strings of
// letters, which compress by a quarter at most. It is immutable.
type pullFormat struct {
	run    string // so that another run's messages are not taken for ours
	queue  string
	filler []byte // the rest of every message, without its quotes
	at     []int  // where in a batch the stamps are
	whole  []byte // a batch
}

func newPullFormat(size int) *pullFormat {
	f := &pullFormat{run: fmt.Sprintf("%016x", rand.Uint64()), filler: make([]byte, size-pullStamp-2)}
	f.queue = "bench-" + f.run
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	source := rand.New(rand.NewPCG(1, 2))
	for i := range f.filler {
		f.filler[i] = letters[source.IntN(len(letters))]
	}
	b := []byte(`{"messages":[`)
	for i := range pullBatch {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"message":"`...)
		b = append(b, f.run...)
		f.at = append(f.at, len(b))
		b = append(b, strings.Repeat("0", pullStamp-len(f.run))...)
		b = append(append(b, f.filler...), `"}`...)
	}
	f.whole = append(b, `]}`...)
	return f
}

// blank is a batch to be stamped, again and again, by one producer.
func (f *pullFormat) blank() []byte { return bytes.Clone(f.whole) }

// put stamps the i-th message of a batch.
func (f *pullFormat) put(batch []byte, i int, seq uint64) {
	var raw [8]byte
	for k := range raw {
		raw[k] = byte(seq >> (56 - 8*k))
	}
	hex.Encode(batch[f.at[i]:], raw[:])
}

// pulledMessage is one of an answer; lease aliases it.
type pulledMessage struct {
	seq   uint64
	lease []byte
}

var (
	idKey      = []byte(`"message_id":"`)
	messageKey = []byte(`"message":"`)
	leaseKey   = []byte(`"lease_id":"`)
)

// read appends the messages of an answer to a receive and checks every byte of them. It is
// no JSON parser: that would cost more than what is measured. No text of ours looks like a
// key, and every object begins with its message_id.
func (f *pullFormat) read(dst []pulledMessage, answer []byte) ([]pulledMessage, error) {
	_, rest, _ := bytes.Cut(answer, idKey)
	for len(rest) > 0 {
		var object []byte
		object, rest, _ = bytes.Cut(rest, idKey)
		_, text, ok := bytes.Cut(object, messageKey)
		size := pullStamp + len(f.filler)
		if !ok || len(text) <= size || text[size] != '"' || string(text[:len(f.run)]) != f.run || !bytes.Equal(text[pullStamp:size], f.filler) {
			return dst, fmt.Errorf("%w: %.200q", ErrCorrupt, object)
		}
		seq, err := strconv.ParseUint(string(text[len(f.run):pullStamp]), 16, 64)
		if err != nil {
			return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		_, lease, _ := bytes.Cut(object, leaseKey)
		lease, _, ok = bytes.Cut(lease, []byte{'"'})
		if !ok || len(lease) == 0 {
			return dst, fmt.Errorf("%w: a message without a lease: %.200q", ErrCorrupt, object)
		}
		dst = append(dst, pulledMessage{seq, lease})
	}
	return dst, nil
}

// appendAcks appends the body of an acknowledgement.
func appendAcks(dst []byte, got []pulledMessage) []byte {
	dst = append(dst, `{"acks":[`...)
	for i := range got {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"lease_id":"`...)
		dst = append(append(dst, got[i].lease...), `"}`...)
	}
	return append(dst, `]}`...)
}

// checkPublished looks for items that failed: the call is a success all the same.
func checkPublished(answer []byte) error {
	if i := bytes.Index(answer, []byte(`{"error":`)); i >= 0 {
		return fmt.Errorf("a message of a batch was refused: %.200s", answer[i:])
	}
	return nil
}

func checkAcked(answer []byte, n int) error {
	if want := fmt.Sprintf(`"ack_count":%d,`, n); !bytes.Contains(answer, []byte(want)) {
		return fmt.Errorf("of %d acknowledged: %.300s", n, answer)
	}
	return nil
}

// pullHeads are the heads of the requests.
type pullHeads struct {
	publish, receive []byte
	ack              []byte // up to the length
}

func newPullHeads(s Server, addr string, f *pullFormat) pullHeads {
	headers := []string{"Content-Type: application/json"}
	if s.Token != "" {
		headers = append(headers, "Authorization: Bearer "+s.Token)
	}
	path := "/v1/queues/" + f.queue
	return pullHeads{
		publish: postHead(addr, path+"/messages", len(f.whole), headers...),
		receive: postHead(addr, path+"/receive", len(receiveBody), headers...),
		ack:     openHead(postHead(addr, path+"/ack", 0, headers...)),
	}
}

// openHead cuts off the length of a head that ends in 0.
func openHead(head []byte) []byte { return bytes.TrimSuffix(head, []byte("0\r\n\r\n")) }

// ackOf appends the head of an acknowledgement of n bytes.
func (h *pullHeads) ackOf(dst []byte, n int) []byte {
	dst = strconv.AppendInt(append(dst, h.ack...), int64(n), 10)
	return append(dst, "\r\n\r\n"...)
}

// pullEcho is the side of the bare server: for each batch two exchanges with as many bytes
// as the last full batch of the server's side took.
type pullEcho struct {
	o     *PullOptions
	as    *pull
	addr  string
	token string
	meter *meter
}

func newPullEcho(o *PullOptions, as *pull, s Server) (*pullEcho, error) {
	addr, err := hostOf(s.URL)
	if err != nil {
		return nil, fmt.Errorf("echo: %w", err)
	}
	return &pullEcho{o: o, as: as, addr: addr, token: s.Token}, nil
}

func (e *pullEcho) contender(pid int) contender {
	return contender{
		name: "echo",
		pid:  pid,
		begin: func(_ context.Context, m *meter) error {
			if e.as.answerBytes.Load() == 0 {
				return fmt.Errorf("%w: the server never handed out %d messages at once", ErrFailing, pullBatch)
			}
			e.meter = m
			return nil
		},
		producers: func(ctx context.Context, c int) ([]operation, func()) {
			wires := make([]*wire, c)
			ops := make([]operation, c)
			for i := range ops {
				wires[i] = newWire(ctx, e.addr, e.o.RequestTimeout)
				wires[i].most = pullAnswerMax
				ops[i] = e.turn(uint64(i), wires[i])
			}
			return ops, func() { closeWires(wires) }
		},
	}
}

// turn makes a consumer's operation.
func (e *pullEcho) turn(id uint64, w *wire) operation {
	headers := []string{"Content-Type: application/json", "Authorization: Bearer " + e.token}
	receive := postHead(e.addr, echoPrefix+strconv.FormatInt(e.as.answerBytes.Load(), 10), len(receiveBody), headers...)
	body := bytes.Repeat([]byte{' '}, int(e.as.ackBytes.Load()))
	ack := postHead(e.addr, echoPrefix+"50", len(body), headers...)
	return func(<-chan struct{}) error {
		begin := time.Now()
		if err := w.post(receive, receiveBody); err != nil {
			return err
		}
		latency := time.Since(begin)
		if err := w.post(ack, body); err != nil {
			return err
		}
		e.meter.recordAll(id, latency, pullBatch)
		return nil
	}
}
