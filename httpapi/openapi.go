package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"strconv"
	"sync"
)

// The document of the API is written by hand, in openapi/*.yaml; openapi.json is made of
// those by `go test ./httpapi -run TestDocument -update`, so that nothing has to read
// YAML at run time. Every exchange of the tests is held against it (httpapi/wirecheck).

//go:embed openapi.json
var documentSource []byte

// document is what GET /openapi.json answers, and its entity tag.
var document = sync.OnceValues(func() (text []byte, tag string) {
	var b bytes.Buffer
	if err := json.Compact(&b, documentSource); err != nil {
		panic("httpapi: BUG: openapi.json: " + err.Error()) // TestDocument
	}
	sum := crc32.Checksum(b.Bytes(), crc32.MakeTable(crc32.Castagnoli))
	return b.Bytes(), strconv.Quote(strconv.FormatUint(uint64(sum), 16))
})

const documentName = "openapi.json"

var routeDocument = &route{name: "document", access: accessRead, public: true, serve: (*exchange).document}

// document is GET /openapi.json. It is public: it tells nothing about this server.
func (x *exchange) document() error {
	text, tag := document()
	x.context().Response.Header.Set("ETag", tag)
	if string(x.field("if-none-match")) == tag {
		x.out = x.out[:0]
		return x.ok(http.StatusNotModified)
	}
	x.out = append(x.out[:0], text...)
	return x.ok(http.StatusOK)
}
