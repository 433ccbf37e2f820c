package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
)

// BenchmarkAttempt measures what an attempt costs beside the wire: the message is read and
// decoded, the request built and signed, the answer classified.
func BenchmarkAttempt(b *testing.B) {
	for _, from := range []string{"memory", "log"} {
		b.Run("from="+from, func(b *testing.B) { benchmarkAttempt(b, Options{noRecent: from == "log"}) })
	}
}

func benchmarkAttempt(b *testing.B, o Options) {
	o.Dir, o.Wire = b.TempDir(), &plainWire{}
	e, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Shutdown(b.Context()) }()
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		b.Fatal(err)
	}
	var cmds []startCommand
	for i := range 256 {
		p := Publish{
			User: 1, URL: fmt.Sprintf("http://127.0.0.1:8080/hook?n=%d", i), Body: make([]byte, 1024), Retries: 3, Delay: time.Hour,
			Header: []Header{{Name: "Content-Type", Value: "application/json"}},
		}
		r, err := e.Publish(&p)
		if err != nil {
			b.Fatal(err)
		}
		cmds = append(cmds, startCommand{row: rowOfID(b, e, r.MessageID), attempt: 1})
	}
	a := newAttempter(e)
	var r *attemptResult
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		cmd := &cmds[i%len(cmds)]
		cmd.into = r
		r = a.run(cmd)
		if !r.success {
			b.Fatal(r.outcome.Error)
		}
	}
}

func rowOfID(b *testing.B, e *Engine, id string) record.Row {
	seq, _, err := parseMessageID(id)
	if err == nil {
		err = e.catchUp()
	}
	row, ok, rowErr := e.idx.Row(seq)
	if err != nil || rowErr != nil || !ok {
		b.Fatal(err, rowErr, ok)
	}
	return row
}

// plainWire answers as a usual server does.
type plainWire struct{}

func (plainWire) Do(_ *dispatch.Attempt, r *dispatch.Result) {
	r.Status, r.Class, r.Err = 200, dispatch.OK, nil
	r.Header = append(r.Header[:0], dispatch.Header{Name: "Server", Value: "x"}, dispatch.Header{Name: "Content-Length", Value: "2"})
	r.Body = append(r.Body[:0], "ok"...)
	r.Timing.Total = 1
}
