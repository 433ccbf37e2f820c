package bench

import (
	"bytes"
	"fmt"
	"strings"
)

// batchTarget is the endpoint that takes many messages in one call (QSTASH.md §3.7).
const batchTarget = "/v2/batch"

// batchForm is the body of a call to it: items whose bodies are stamped one by one, again
// and again, by one producer.
type batchForm struct {
	bodies *bodies
	whole  []byte
	at     []int // where each item's body begins
}

// newBatchForm renders n items, for one host after the other from the offset on. Headers
// are given as "Name: value".
func newBatchForm(b *bodies, n, offset int, hosts []string, headers ...string) *batchForm {
	f := &batchForm{bodies: b, whole: []byte{'['}}
	var fields []string
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		fields = append(fields, fmt.Sprintf("%q:%q", name, value))
	}
	blank := bytes.Repeat([]byte{'0'}, b.head())
	for i := range n {
		if i > 0 {
			f.whole = append(f.whole, ',')
		}
		f.whole = fmt.Appendf(f.whole, `{"destination":%q,"headers":{%s},"body":"`, hosts[(offset+i)%len(hosts)], strings.Join(fields, ","))
		f.at = append(f.at, len(f.whole))
		f.whole = append(append(append(f.whole, blank...), b.filler...), `"}`...)
	}
	f.whole = append(f.whole, ']')
	return f
}

// body is the i-th item's, to be stamped.
func (f *batchForm) body(i int) []byte { return f.whole[f.at[i] : f.at[i]+f.bodies.size()] }

// head is the head of the call.
func (f *batchForm) head(s Server, addr string) []byte {
	headers := []string{"Content-Type: application/json"}
	if s.Token != "" {
		headers = append(headers, "Authorization: Bearer "+s.Token)
	}
	return postHead(addr, batchTarget, len(f.whole), headers...)
}

var messageIDKey = []byte(`"messageId":"`)

// readBatch appends the ids in an answer to a batch, "" for an item that failed, and checks
// that there are n. It looks for the objects of the list and for one member in each: a JSON
// parser would cost more than what is measured. ids alias the answer.
func readBatch(ids [][]byte, answer []byte, n int) ([][]byte, error) {
	rest, objects := answer, 0
	for {
		object, tail, ok := cutObject(rest)
		if !ok {
			break
		}
		objects++
		rest = tail
		_, id, _ := bytes.Cut(object, messageIDKey)
		id, _, _ = bytes.Cut(id, []byte{'"'})
		ids = append(ids, id)
	}
	if objects != n {
		return ids, fmt.Errorf("a batch of %d messages was answered with %d results: %.200s", n, objects, answer)
	}
	return ids, nil
}

// cutObject cuts the first JSON object off, at its own closing brace.
func cutObject(b []byte) (object, rest []byte, ok bool) {
	begin := bytes.IndexByte(b, '{')
	if begin < 0 {
		return nil, nil, false
	}
	depth, quoted := 0, false
	for i := begin; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return b[begin : i+1], b[i+1:], true
			}
		}
	}
	return nil, nil, false
}
