package httpapi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

func (noEngine) PublishBatch(ps []engine.Publish) []engine.Result {
	out := make([]engine.Result, len(ps))
	for i := range out {
		out[i].MessageID = "msg_2345678923456789234567"
	}
	return out
}

// batchRequest is a call with 100 messages of about 1 KiB.
func batchRequest(body string) []byte {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, `,{"destination":"http://127.0.0.%d:8080/","headers":{"Upstash-Delay":"86400s"},"body":%s}`, i%32, body)
	}
	return []byte(requestBody("POST /v2/batch", "["+b.String()[1:]+"]", "Content-Type: application/json"))
}

// BenchmarkBatch is a call to /v2/batch, the engine and the connection left out: ns/msg is
// what it costs for each of its 100 messages of 1 KiB. Texts are plain, JSON in a string
// (each tenth byte escaped), and JSON as it is.
func BenchmarkBatch(b *testing.B) {
	const member = `"name":"value 1234567890", `
	object := "{" + strings.Repeat(member, 1024/len(member)) + `"last":1}`
	for name, body := range map[string]string{
		"text":    `"` + strings.Repeat("0123456789abcdef", 64) + `"`,
		"escaped": `"` + strings.ReplaceAll(object, `"`, `\"`) + `"`,
		"object":  object,
	} {
		b.Run("body="+name, func(b *testing.B) {
			raw := batchRequest(body)
			_, text, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
			srv, err := New(Options{Engine: noEngine{newFake()}})
			if err != nil {
				b.Fatal(err)
			}
			x := &exchange{srv: srv, c: &conn{srv: srv}, who: new(engine.Principal)}
			x.body.budget = &budget{}
			x.body.budget.most.Store(1 << 30)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				x.body.b = append(x.body.b[:0], text...) // it is decoded in place
				if err := x.batch(); err != nil {
					b.Fatal(err)
				}
				x.body.budget.give(x.body.held)
				x.body.held, x.out = 0, x.out[:0]
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/msg")
		})
	}
}
