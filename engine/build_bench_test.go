package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkBuild is what a publish costs before its record is in the log: the checks, the
// host, the nonce.
func BenchmarkBuild(b *testing.B) {
	e, err := Open(Options{Dir: "data", FS: vfs.NewMem(), Wire: &countWire{}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Shutdown(b.Context()) }()
	p := Publish{
		User: 1, URL: "http://127.0.0.1:40123/hooks/orders?shop=12", Body: make([]byte, 1024), CallerIP: "127.0.0.1", Retries: 3,
		Header: []Header{{Name: "Content-Type", Value: "application/octet-stream"}}, Accepted: e.opts.Wall(),
	}
	m := new(scratchMessage)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.build(&p, m); err != nil {
			b.Fatal(err)
		}
	}
}
